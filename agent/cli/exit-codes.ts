/** Additive only; docs/cli.md lists them and a test keeps the two equal. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  refused: 4,
  tryAgain: 75,
  /** 128 + SIGINT, as shells expect of a command that was stopped before it was done. */
  interrupted: 130,
} as const;
