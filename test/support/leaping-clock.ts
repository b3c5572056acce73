import type { Clock } from '../../agent/supervisor/ports.ts';
import { systemClock } from '../../agent/system-clock.ts';

/** The machine's clock, but a test can let time pass at once. Timers that run already do not notice. */
export class LeapingClock implements Clock {
  #aheadMs = 0;

  now(): number {
    return systemClock.now() + this.#aheadMs;
  }

  after(ms: number, run: () => void): () => void {
    return systemClock.after(ms, run);
  }

  leap(ms: number): void {
    this.#aheadMs += ms;
  }
}
