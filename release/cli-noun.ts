import { parseArgs } from 'node:util';
import { TufError } from '../protocol/tuf.ts';
import type { Invocation, ReleaseIo } from './cli-io.ts';
import { messageOf, ReleaseError } from './errors.ts';

const EXIT = { ok: 0, failed: 1, usage: 2, refused: 4 } as const;

export interface Verb {
  help: string;
  options: Record<string, { type: 'string' | 'boolean'; short?: string; multiple?: boolean }>;
  /** Names of the positional arguments; all are required. */
  operands: string[];
  run(invocation: Invocation): Promise<number>;
}

/**
 * Runs `argv`, a noun, its verb and the verb's arguments. `help` is told where there is no such verb. Gives the exit
 * code: 0 ok, 1 failed, 2 usage, 4 refused by policy or verification.
 */
export async function runNoun(
  nouns: Record<string, Record<string, Verb>>,
  help: string,
  argv: string[],
  io: ReleaseIo,
): Promise<number> {
  const [noun = '', name = '', ...rest] = argv;
  const verbs = nouns[noun];
  const verb = verbs?.[name];
  if (!verb) {
    const wantsHelp = [noun, name].some((word) => word === '--help' || word === '-h');
    (wantsHelp ? io.stdout : io.stderr).write(help);
    return wantsHelp ? EXIT.ok : EXIT.usage;
  }
  let isJson = rest.includes('--json');
  try {
    const invocation = parse(verb, rest, io);
    if (invocation === 'help') {
      io.stdout.write(verb.help);
      return EXIT.ok;
    }
    isJson = invocation.isJson;
    return await verb.run(invocation);
  } catch (error) {
    return report(error, isJson, verb, io);
  }
}

class UsageError extends Error {}

function parse(verb: Verb, args: string[], io: ReleaseIo): Invocation | 'help' {
  const options = {
    ...verb.options,
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  } as const;
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true, strict: true });
    if (values['help']) return 'help';
    if (positionals.length !== verb.operands.length)
      throw new UsageError(
        verb.operands.length === 0
          ? `unexpected "${positionals[0]}"`
          : `wanted ${verb.operands.map((name) => `one ${name}`).join(' and ')}`,
      );
    const given = Object.entries(values as Record<string, unknown>);
    return {
      values: Object.fromEntries(
        given.filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
      ),
      lists: Object.fromEntries(
        given.filter((entry): entry is [string, string[]] => Array.isArray(entry[1])),
      ),
      flags: Object.fromEntries(
        given.filter((entry): entry is [string, boolean] => typeof entry[1] === 'boolean'),
      ),
      operands: positionals,
      isJson: values['json'] === true,
      io,
    };
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(messageOf(error));
  }
}

function report(error: unknown, isJson: boolean, verb: Verb, { stdout, stderr }: ReleaseIo): number {
  if (error instanceof UsageError) {
    stderr.write(`Cannot run the command: ${error.message}\n\n${verb.help}`);
    return EXIT.usage;
  }
  const code = error instanceof ReleaseError || error instanceof TufError ? error.code : 'unexpected';
  stderr.write(`${messageOf(error)}\n`);
  if (isJson) stdout.write(`${JSON.stringify({ error: { code, message: messageOf(error) } })}\n`);
  if (error instanceof TufError) return EXIT.refused;
  return error instanceof ReleaseError ? EXIT[error.outcome] : EXIT.failed;
}
