/** Longest burst at full speed, in ms of the rate. */
const BURST_MS = 250;

/** A token bucket, kept as the time until which what was taken pays for. Times in ms, never going back. */
export class TokenBucket {
  readonly bytesPerSecond: number;
  #paidUntil = 0;

  constructor(bytesPerSecond: number) {
    this.bytesPerSecond = bytesPerSecond;
  }

  untilFree(now: number): number {
    return Math.max(0, this.#paidUntil - now);
  }

  /** How long whoever takes these has to wait. */
  take(bytes: number, now: number): number {
    const from = Math.max(this.#paidUntil, now - BURST_MS);
    this.#paidUntil = from + (1000 * bytes) / this.bytesPerSecond;
    return Math.max(0, from - now);
  }

  isFull(now: number): boolean {
    return this.#paidUntil <= now - BURST_MS;
  }
}
