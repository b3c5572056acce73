import type { Clock } from './supervisor/ports.ts';

/** Longest delay a Node timer can hold, in ms; a longer one would fire at once. */
const MAX_MS = 2 ** 31 - 1;

/** The machine's clock and timers. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, Math.min(ms, MAX_MS));
    return () => clearTimeout(timer);
  },
};
