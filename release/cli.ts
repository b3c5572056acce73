import { parseArgs } from 'node:util';
import { TufError } from '../protocol/tuf.ts';
import { BUILD_HELP, runBuild } from './cli-build.ts';
import type { Invocation, ReleaseIo } from './cli-io.ts';
import { KEYS_HELP, runKeysInit, runKeysShow } from './cli-keys.ts';
import { INSPECT_HELP, PUSH_HELP, runInspect, runPush, runSign, SIGN_HELP } from './cli-release.ts';
import { messageOf, ReleaseError } from './errors.ts';

export type { ReleaseIo } from './cli-io.ts';

const EXIT = { ok: 0, failed: 1, usage: 2, refused: 4 } as const;

interface Verb {
  help: string;
  options: Record<string, { type: 'string' | 'boolean'; short?: string }>;
  /** Names of the positional arguments; all are required. */
  operands: string[];
  run(invocation: Invocation): Promise<number>;
}

const text = { type: 'string' } as const;

const VERBS: Record<string, Record<string, Verb>> = {
  release: {
    build: {
      help: BUILD_HELP,
      options: { file: { ...text, short: 'f' }, out: { ...text, short: 'o' }, boards: text, cache: text },
      operands: [],
      run: runBuild,
    },
    sign: {
      help: SIGN_HELP,
      options: { keys: text, 'expires-days': text },
      operands: ['folder'],
      run: runSign,
    },
    inspect: { help: INSPECT_HELP, options: { root: text }, operands: ['folder'], run: runInspect },
    push: { help: PUSH_HELP, options: { server: text, token: text }, operands: ['folder'], run: runPush },
  },
  keys: {
    init: {
      help: KEYS_HELP,
      options: { keys: text, server: text, token: text, 'expires-days': text },
      operands: [],
      run: runKeysInit,
    },
    show: { help: KEYS_HELP, options: { keys: text }, operands: [], run: runKeysShow },
  },
};

const HELP = `Usage: wherry release build | sign | inspect | push
       wherry keys init | show

Add --help to a command for its options, --json for output that programs read.
`;

/** `argv` is ["release" | "keys", verb, …]. Gives the exit code: 0 ok, 1 failed, 2 usage, 4 refused by policy or verification. */
export async function runReleaseCommand(argv: string[], io: ReleaseIo): Promise<number> {
  const [noun = '', name = '', ...rest] = argv;
  const verbs = VERBS[noun];
  const verb = verbs?.[name];
  if (!verb) {
    const wantsHelp = [noun, name].some((word) => word === '--help' || word === '-h');
    (wantsHelp ? io.stdout : io.stderr).write(HELP);
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
          : `wanted one ${verb.operands.join(' ')}`,
      );
    return {
      values: values as Record<string, string | undefined>,
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
