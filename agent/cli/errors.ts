import type { ProblemCode } from '../local-api/problems.ts';
import { EXIT } from './exit-codes.ts';

/** Failures of the CLI itself with the exit code of each; the agent's own problems come under their own codes. */
export const CLI_ERRORS = {
  usage: EXIT.usage,
  'agent-unreachable': EXIT.unreachable,
  'agent-lost': EXIT.unreachable,
  'agent-busy': EXIT.tryAgain,
  'not-an-agent': EXIT.failed,
  'bad-config': EXIT.failed,
  'no-release-bundle': EXIT.failed,
  'several-bundles': EXIT.usage,
  'not-mounted': EXIT.failed,
  'not-a-development-board': EXIT.refused,
  'chaos-failed': EXIT.failed,
} as const;

/** Problems of the agent that are not plain failures. */
const EXITS_OF_PROBLEMS: Partial<Record<ProblemCode, number>> = {
  'update-refused': EXIT.refused,
  'service-held': EXIT.refused,
  'enrol-refused': EXIT.refused,
  'enrol-failed': EXIT.tryAgain,
  'source-failed': EXIT.tryAgain,
};

export class CliError extends Error {
  readonly code: keyof typeof CLI_ERRORS | ProblemCode;
  readonly exit: number;
  /** What to do about it, a line each. */
  readonly hints: string[];

  constructor(code: CliError['code'], message: string, hints: string[] = [], cause?: unknown) {
    super(message, { cause });
    this.name = 'CliError';
    this.code = code;
    const exits: Partial<Record<CliError['code'], number>> = { ...CLI_ERRORS, ...EXITS_OF_PROBLEMS };
    this.exit = exits[code] ?? EXIT.failed;
    this.hints = hints;
  }
}
