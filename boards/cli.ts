import type { ReleaseIo } from '../release/cli-io.ts';
import { runNoun, type Verb } from '../release/cli-noun.ts';
import { BUILD_HELP, runBuild } from './cli-build.ts';
import { FLASH_HELP, runFlash } from './cli-flash.ts';
import { LIST_HELP, runList } from './cli-list.ts';
import { RUN_HELP, runRun } from './cli-run.ts';

const text = { type: 'string' } as const;
const many = { type: 'string', multiple: true } as const;

const BOARD: Record<string, Verb> = {
  list: { help: LIST_HELP, options: {}, operands: [], run: runList },
  build: {
    help: BUILD_HELP,
    options: { variant: text, out: { ...text, short: 'o' } },
    operands: ['board'],
    run: runBuild,
  },
  flash: {
    help: FLASH_HELP,
    options: { device: text, 'wherry-json': text, root: text, variant: text },
    operands: ['board or image'],
    run: runFlash,
  },
  run: {
    help: RUN_HELP,
    options: { count: text, dir: text, variant: text, 'wherry-json': text, root: text, forward: many },
    operands: ['board'],
    run: runRun,
  },
};

const HELP = `Usage: wherry board list | build | flash | run

Add --help to a command for its options, --json for output that programs read.
`;

/** `argv` is ["board", verb, …]. Gives the exit code. */
export const runBoardCommand = (argv: string[], io: ReleaseIo): Promise<number> =>
  runNoun({ board: BOARD }, HELP, argv, io);
