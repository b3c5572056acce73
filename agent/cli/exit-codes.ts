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

/** For manual pages, in the words of docs/cli.md. */
export const EXIT_MEANINGS: Record<keyof typeof EXIT, string> = {
  ok: 'done, or nothing needed doing; logs or top stopped with Ctrl-C',
  failed: 'the agent or the command failed, or there is no such service; a check of doctor fails',
  usage: 'the command line cannot be read; nothing was asked of the agent',
  unreachable:
    'no agent answers at the socket, or it went away in the middle; also where what was last known was shown instead',
  refused: 'refused by policy or verification',
  tryAgain: 'the agent is too busy or going down; the same command may work in a moment',
  interrupted: 'stopped by Ctrl-C before the answer came',
};
