import type { Io } from './io.ts';

interface ToolNoun {
  /** Its line in the list of commands. */
  summary: string;
  run(argv: string[], io: Io): Promise<number>;
}

const release = async (argv: string[], io: Io): Promise<number> =>
  (await import('../../release/cli.ts')).runReleaseCommand(argv, io);

/** Nouns of the tools of signers and developers. Loaded when called: on the device they take no memory and no time. */
export const TOOL_NOUNS: Record<string, ToolNoun> = {
  release: { summary: 'build, sign, inspect and push a release', run: release },
  keys: { summary: 'make and look after the signing keys', run: release },
  board: {
    summary: 'build, flash and emulate the image of a board',
    run: async (argv, io) => (await import('../../boards/cli.ts')).runBoardCommand(argv, io),
  },
};
