import { parseInstant } from '../../protocol/instant.ts';
import { parseDurationMs } from '../../protocol/quantities.ts';
import { usage } from './arguments.ts';
import type { Call, Command, CommandOption } from './command.ts';

export const SINCE: Record<string, CommandOption> = {
  since: { type: 'string', value: 'TIME', help: 'not before: 2h ago, or 2026-11-21T10:00Z' },
};

/** Unix ms; undefined when none is given. */
export function sinceOf({ io, options }: Call, command: Command): number | undefined {
  const text = options['since'];
  if (typeof text !== 'string') return undefined;
  const ago = parseDurationMs(text);
  const at = ago === undefined ? parseInstant(text) : io.now() - ago;
  if (at !== undefined && at >= 0) return at;
  throw usage(
    `Cannot read --since ${text}: wanted how long ago, such as 30m or 2h, or a time such as 2026-11-21T10:00Z`,
    command,
  );
}
