import { usage } from './arguments.ts';
import type { Call, Command } from './command.ts';

/** `--count N`; without it there is no end. */
export function countOf({ options }: Call, command: Command): number {
  const text = options['count'];
  if (typeof text !== 'string') return Number.POSITIVE_INFINITY;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw usage(`Cannot read --count ${text}: wanted a number from 1`, command);
}
