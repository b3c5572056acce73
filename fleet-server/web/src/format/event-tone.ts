import type { Tone } from './words.ts';

const BAD_PREFIXES = [
  'refused.',
  'fail.',
  'exit.oom',
  'wait.given-up',
  'update.rolled-back',
  'channel.evicted',
];
const WARN_PREFIXES = ['exit.', 'wait.backoff', 'repair.', 'retry.', 'channel.overruns'];
const OK_PREFIXES = ['update.committed', 'start.', 'channel.restored'];

/** By the reason code's family, so that a code added later gets the tone of its family. */
export function eventTone(code: string): Tone {
  const isOneOf = (prefixes: string[]) => prefixes.some((prefix) => code.startsWith(prefix));
  if (isOneOf(BAD_PREFIXES)) return 'bad';
  if (isOneOf(WARN_PREFIXES)) return 'warn';
  return isOneOf(OK_PREFIXES) ? 'ok' : 'quiet';
}
