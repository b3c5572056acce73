/** Counts per key in fixed windows. Bounded: a flood of keys clears the table instead of filling the memory. */
export class RateLimit {
  readonly #most: number;
  readonly #windowMs: number;
  readonly #now: () => number;
  readonly #counts = new Map<string, { count: number; endsAt: number }>();

  constructor(most: number, windowMs: number, now: () => number) {
    this.#most = most;
    this.#windowMs = windowMs;
    this.#now = now;
  }

  /** Takes one from the key's allowance; false when none is left in this window. */
  take(key: string): boolean {
    const now = this.#now();
    if (this.#counts.size > 10_000) this.#counts.clear();
    const entry = this.#counts.get(key);
    if (!entry || entry.endsAt <= now) {
      this.#counts.set(key, { count: 1, endsAt: now + this.#windowMs });
      return true;
    }
    entry.count++;
    return entry.count <= this.#most;
  }
}
