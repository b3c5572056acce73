import { type Finding, fail, type Verdict } from './finding.ts';

/** Exit codes of a plugin, those of Nagios plugins: such a one runs as it is. */
const OF_EXIT: Partial<Record<number, Verdict>> = { 0: 'ok', 1: 'warn', 2: 'fail', 3: 'skipped' };

export interface PluginRun {
  /** Undefined when it was killed; `why` says it then. */
  exitCode: number | undefined;
  why?: string | undefined;
  stdout: string;
}

const FIELD_CHARACTERS = 1_000;

/** What a plugin told: one JSON object {"verdict","found","advice"}, or its first line and its exit code. */
export function readPlugin({ exitCode, why, stdout }: PluginRun): Finding {
  const text = stdout.trim();
  if (exitCode === undefined)
    return fail(`The plugin was killed: ${why ?? 'for no known reason'}`, 'mend or remove the plugin');
  const told = text.startsWith('{') ? fromJson(text) : undefined;
  if (typeof told === 'string') return fail(`The plugin's JSON cannot be read: ${told}`, 'mend the plugin');
  if (told !== undefined) return told;
  const verdict = OF_EXIT[exitCode];
  if (verdict === undefined)
    return fail(
      `The plugin ended with ${exitCode}${text ? `: ${clip(text)}` : ''}`,
      'mend it: wanted 0 (ok), 1 (warn), 2 (fail) or 3 (skipped)',
    );
  return { verdict, found: clip(text) || 'The plugin said nothing' };
}

function fromJson(text: string): Finding | string {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return 'it is no JSON';
  }
  const { verdict, found, advice, ...rest } = document as Record<string, unknown>;
  const unknown = Object.keys(rest);
  if (unknown.length > 0) return `${unknown.join(', ')} is not a known field; known: verdict, found, advice`;
  const wanted: unknown[] = Object.values(OF_EXIT);
  if (!wanted.includes(verdict)) return 'verdict is none of ok, warn, fail, skipped';
  if (typeof found !== 'string' || found === '') return 'found is not a sentence';
  if (advice !== undefined && typeof advice !== 'string') return 'advice is not a sentence';
  return { verdict: verdict as Verdict, found: clip(found), ...(advice && { advice: clip(advice) }) };
}

const clip = (text: string): string => (text.split('\n')[0] ?? '').slice(0, FIELD_CHARACTERS);

export interface PluginFile {
  name: string;
  kind: 'file' | 'other';
  uid: number;
  /** Permission bits. */
  mode: number;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Why a file of the plugin folder, or the folder itself, is not to be run from; undefined when it may be. */
export function refusal({ name, kind, uid, mode }: PluginFile): string | undefined {
  if (!NAME.test(name)) return 'its name has characters other than letters, digits, ".", "_" and "-"';
  if (kind !== 'file') return 'it is not a plain file';
  return ownerFault({ uid, mode }) ?? (mode & 0o100 ? undefined : 'it is not executable');
}

export function ownerFault({ uid, mode }: Pick<PluginFile, 'uid' | 'mode'>): string | undefined {
  if (uid !== 0) return `it belongs to user ${uid}, not to root`;
  if (mode & 0o022) return 'others than root may write to it';
  return undefined;
}
