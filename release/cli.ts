import { BUILD_HELP, runBuild } from './cli-build.ts';
import { BUNDLE_HELP, runExport } from './cli-export.ts';
import { EXPORT_IMAGES_HELP, runExportImages } from './cli-export-images.ts';
import type { ReleaseIo } from './cli-io.ts';
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
import { runNoun, type Verb } from './cli-noun.ts';
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

export type { ReleaseIo } from './cli-io.ts';

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

/** `argv` is ["release" | "keys", verb, …]. Gives the exit code. */
export const runReleaseCommand = (argv: string[], io: ReleaseIo): Promise<number> =>
  runNoun(VERBS, HELP, argv, io);
