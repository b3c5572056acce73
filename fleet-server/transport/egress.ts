/** Longest burst at full speed, in ms of the rate. */
const BURST_MS = 250;

/** Holds what leaves to devices to a rate, all together; who comes first goes first. */
export class Egress {
  readonly #bytesPerMs: number | undefined;
  readonly #now: () => number;
  readonly #wait: (ms: number) => Promise<void>;
  /** When all that was let through so far has left at the rate, in ms of `now`. */
  #paidUntil = 0;

  /** `bytesPerSecond` undefined = no limit. `now` in ms, never going back. */
  constructor(bytesPerSecond: number | undefined, now: () => number, wait: (ms: number) => Promise<void>) {
    this.#bytesPerMs = bytesPerSecond === undefined ? undefined : bytesPerSecond / 1000;
    this.#now = now;
    this.#wait = wait;
  }

  /** Resolves when so many bytes may leave. */
  async take(bytes: number): Promise<void> {
    if (this.#bytesPerMs === undefined) return;
    const now = this.#now();
    const from = Math.max(this.#paidUntil, now - BURST_MS);
    this.#paidUntil = from + bytes / this.#bytesPerMs;
    if (from > now) await this.#wait(from - now);
  }
}
