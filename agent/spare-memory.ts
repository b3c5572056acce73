import type { Clock } from './supervisor/ports.ts';

const QUIET_MS = 15_000;

/** V8's collector as `node --expose-gc` hands it out; absent without that flag. */
export type Collect = (options: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void;

/**
 * Gives memory back to the board once an update, or the agent's start, is over. V8 would keep it for the next one: its
 * collector runs when something is allocated, and an agent that waits allocates next to nothing.
 */
export class SpareMemory {
  readonly #clock: Clock;
  readonly #collect: Collect | undefined;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, collect: Collect | undefined) {
    this.#clock = clock;
    this.#collect = collect;
  }

  /** Something that takes memory began, goes on or ended: it is over when nothing was said for a while. */
  busy(): void {
    this.#cancel?.();
    const collect = this.#collect;
    if (collect === undefined) return;
    this.#cancel = this.#clock.after(QUIET_MS, () =>
      // The last resort also drops code that has run and is not needed now.
      collect({ type: 'major', execution: 'sync', flavor: 'last-resort' }),
    );
  }

  stop(): void {
    this.#cancel?.();
  }
}
