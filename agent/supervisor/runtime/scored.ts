/** A shell; it ends in the program that it is told to run, which has its pid then. */
export const SHELL = '/bin/sh';

const SCRIPT = 'echo "$0" > /proc/self/oom_score_adj && exec "$@"';

/**
 * Arguments for the shell that run a program with this OOM score. crun leaves the score of what it runs in a container to
 * who calls it, which is the agent: the kernel would take the service first.
 */
export const scored = (oomScoreAdj: number, program: readonly string[]): string[] => [
  '-c',
  SCRIPT,
  String(oomScoreAdj),
  ...program,
];
