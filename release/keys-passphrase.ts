import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Invocation } from './cli-io.ts';
import { messageOf, ReleaseError } from './errors.ts';
import type { Passphrase } from './keys-ring.ts';

const VARIABLE = 'WHERRY_PASSPHRASE';
type Terminal = Readable & { isTTY?: boolean; setRawMode?(isRaw: boolean): unknown };

/**
 * The passphrase as the command line gives it: a file's first line, an environment variable, or a question where there
 * is a terminal. It is asked for once and never printed.
 */
export function passphraseOf(invocation: Invocation, isNew = false): Passphrase {
  let known: Promise<string> | undefined;
  return (what) => (known ??= find(invocation, what, isNew));
}

async function find({ values, io }: Invocation, what: string, isNew: boolean): Promise<string> {
  const file = values['passphrase-file'];
  if (file !== undefined) return fromFile(file);
  const variable = io.env[VARIABLE];
  if (variable !== undefined && variable !== '') return variable;
  if (!isTerminal(io.stdin))
    throw new ReleaseError(
      'passphrase',
      `Cannot open ${what}: there is no terminal to ask for the passphrase; set --passphrase-file or ${VARIABLE}`,
    );
  const first = await ask(io.stdin, io.stderr, `Passphrase for ${what}: `);
  if (isNew && (await ask(io.stdin, io.stderr, 'The same again: ')) !== first)
    throw new ReleaseError('passphrase', 'Cannot go on: the two passphrases differ');
  return first;
}

async function fromFile(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).split(/\r?\n/)[0] ?? '';
  } catch (cause) {
    throw new ReleaseError('passphrase', `Cannot read the passphrase: ${messageOf(cause)}`, { cause });
  }
}

export const isTerminal = (stdin: Readable | undefined): stdin is Terminal =>
  (stdin as Terminal | undefined)?.isTTY === true;

/** A line from the terminal; what is typed is not shown. */
async function ask(stdin: Terminal, stderr: NodeJS.WritableStream, question: string): Promise<string> {
  // First, so that nothing typed ahead is shown.
  stdin.setRawMode?.(true);
  stderr.write(question);
  try {
    return await readLine(stdin);
  } finally {
    stdin.setRawMode?.(false);
    stdin.pause();
    stderr.write('\n');
  }
}

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const ERASE = ['\u007f', '\b'];

async function readLine(stdin: Readable): Promise<string> {
  let line = '';
  return new Promise((resolve, reject) => {
    const stop = (act: () => void) => {
      stdin.off('data', take);
      act();
    };
    const take = (data: Buffer): void => {
      for (const character of data.toString('utf8')) {
        if (character === CTRL_C || character === CTRL_D)
          return stop(() => reject(new ReleaseError('passphrase', 'Cannot go on: called off')));
        if (character === '\r' || character === '\n') return stop(() => resolve(line));
        line = ERASE.includes(character) ? [...line].slice(0, -1).join('') : line + character;
      }
    };
    stdin.on('data', take);
    stdin.resume();
  });
}

/** Whether somebody at the terminal agrees; what is typed is shown by the terminal itself. */
export async function agrees({ io }: Invocation, question: string): Promise<boolean> {
  if (!isTerminal(io.stdin)) return false;
  io.stderr.write(question);
  const answer = await readLine(io.stdin);
  io.stdin.pause();
  return /^y(es)?$/i.test(answer.trim());
}
