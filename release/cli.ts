import { parseArgs } from 'node:util';
import { TufError } from '../protocol/tuf.ts';
import { BUILD_HELP, runBuild } from './cli-build.ts';
import { BUNDLE_HELP, runExport } from './cli-export.ts';
import { EXPORT_IMAGES_HELP, runExportImages } from './cli-export-images.ts';
import type { Invocation, ReleaseIo } from './cli-io.ts';
import {
  CREATE_HELP,
  DELEGATE_HELP,
  EXPORT_HELP,
  INIT_HELP,
  LIST_HELP,
  ROOT_HELP,
  runKeysCreate,
  runKeysDelegate,
  runKeysExport,
  runKeysInit,
  runKeysList,
  runKeysRoot,
  runKeysShow,
  runKeysWithdraw,
  SHOW_HELP,
  WITHDRAW_HELP,
} from './cli-keys.ts';
import { INSPECT_HELP, PUSH_HELP, runInspect, runPush } from './cli-release.ts';
import {
  ACCEPT_HELP,
  DRAFT_HELP,
  FLOOR_HELP,
  REVIEW_HELP,
  runAccept,
  runDraft,
  runFloor,
  runReview,
  runSign,
  SIGN_HELP,
} from './cli-sign.ts';
import { messageOf, ReleaseError } from './errors.ts';

export type { ReleaseIo } from './cli-io.ts';

const EXIT = { ok: 0, failed: 1, usage: 2, refused: 4 } as const;

interface Verb {
  help: string;
  options: Record<string, { type: 'string' | 'boolean'; short?: string; multiple?: boolean }>;
  /** Names of the positional arguments; all are required. */
  operands: string[];
  run(invocation: Invocation): Promise<number>;
}

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const many = { type: 'string', multiple: true } as const;
const out = { type: 'string', short: 'o' } as const;
const server = { server: text, token: text };
const drafting = { keys: text, out, 'expires-days': text };
const signing = {
  keys: text,
  'passphrase-file': text,
  signer: text,
  key: text,
  root: text,
  yes: flag,
  'expires-days': text,
};

const VERBS: Record<string, Record<string, Verb>> = {
  release: {
    build: {
      help: BUILD_HELP,
      options: { file: { ...text, short: 'f' }, out: { ...text, short: 'o' }, boards: text, cache: text },
      operands: [],
      run: runBuild,
    },
    draft: { help: DRAFT_HELP, options: { ...drafting, role: text }, operands: ['folder'], run: runDraft },
    floor: { help: FLOOR_HELP, options: drafting, operands: ['name', 'version'], run: runFloor },
    review: { help: REVIEW_HELP, options: {}, operands: ['draft'], run: runReview },
    sign: { help: SIGN_HELP, options: signing, operands: ['folder or draft'], run: runSign },
    accept: { help: ACCEPT_HELP, options: { keys: text, root: text }, operands: ['draft'], run: runAccept },
    export: {
      help: BUNDLE_HELP,
      options: { ...server, to: text, days: text, platform: many, against: many },
      operands: ['name', 'version'],
      run: runExport,
    },
    inspect: {
      help: INSPECT_HELP,
      options: { root: text, against: text },
      operands: ['folder'],
      run: runInspect,
    },
    'export-images': {
      help: EXPORT_IMAGES_HELP,
      options: { to: text, service: text },
      operands: ['folder'],
      run: runExportImages,
    },
    push: {
      help: PUSH_HELP,
      options: { ...server, draft: text, keys: text },
      operands: ['folder'],
      run: runPush,
    },
  },
  keys: {
    init: {
      help: INIT_HELP,
      options: { ...server, keys: text, 'passphrase-file': text, 'expires-days': text },
      operands: [],
      run: runKeysInit,
    },
    create: {
      help: CREATE_HELP,
      options: { keys: text, type: text, 'passphrase-file': text },
      operands: ['role'],
      run: runKeysCreate,
    },
    list: { help: LIST_HELP, options: { keys: text }, operands: [], run: runKeysList },
    show: { help: SHOW_HELP, options: { keys: text }, operands: [], run: runKeysShow },
    export: {
      help: EXPORT_HELP,
      options: { keys: text, out, public: flag },
      operands: ['keyid'],
      run: runKeysExport,
    },
    root: {
      help: ROOT_HELP,
      options: { ...drafting, ...server, add: many, remove: many, threshold: many },
      operands: [],
      run: runKeysRoot,
    },
    delegate: {
      help: DELEGATE_HELP,
      options: { ...drafting, key: many, path: many, threshold: text, terminating: flag },
      operands: ['role'],
      run: runKeysDelegate,
    },
    withdraw: { help: WITHDRAW_HELP, options: drafting, operands: ['role'], run: runKeysWithdraw },
    sign: { help: SIGN_HELP, options: signing, operands: ['draft'], run: runSign },
  },
};

const HELP = `Usage: wherry release build | draft | review | sign | accept | floor | inspect | push | export | export-images
       wherry keys init | create | list | show | export | root | delegate | withdraw | sign

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
