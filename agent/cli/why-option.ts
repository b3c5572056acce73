import { LOCAL_API_LIMITS } from '../local-api/limits.ts';
import { usage } from './arguments.ts';
import type { Call, Command, CommandOption } from './command.ts';

/** Said to others: in `why`, among the events and on the server. */
export const WHY: Record<string, CommandOption> = {
  why: { type: 'string', value: 'TEXT', help: 'the reason, one line that others see' },
};

/** Undefined when none is given. */
export function whyOf({ options }: Call, command: Command): string | undefined {
  const why = options['why'];
  if (typeof why !== 'string') return undefined;
  if (/^[^\p{Cc}\p{Cf}]+$/u.test(why) && why.length <= LOCAL_API_LIMITS.whyCharacters) return why;
  throw usage(
    `Cannot read --why: wanted one line of 1 to ${LOCAL_API_LIMITS.whyCharacters} characters`,
    command,
  );
}
