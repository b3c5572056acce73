/** Of samples from two places the newest `size`, oldest first: by time, each once. Pure. */
export function recent(known, more, size) {
  const byTime = new Map([...known, ...more].map((sample) => [sample.at, sample]));
  return [...byTime.values()].sort((one, other) => one.at - other.at).slice(-size);
}

/** What came over a channel: how many messages, how many were skipped, and when the last one came. */
export class Intake {
  received = 0;
  lost = 0;
  #lastAt = -Infinity;

  count({ lost }, now) {
    this.received++;
    this.lost += lost;
    this.#lastAt = now;
  }

  /** Whether something came in the last `patienceMs`. */
  isFresh(now, patienceMs) {
    return now - this.#lastAt < patienceMs;
  }
}
