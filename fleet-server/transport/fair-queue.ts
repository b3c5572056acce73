import { TokenBucket } from './token-bucket.ts';

/** Devices that are remembered though they wait for nothing. */
const MOST_IDLE = 256;

interface Waiting {
  /** Bytes that its device had been let through, in the time of the queue: the least goes first. */
  start: number;
  bytes: number;
  resolve(): void;
}

/**
 * One rate for many devices. Of those that wait at once each gets the same share in bytes, whatever it asks over and in
 * how many connections: start-time fair queueing (Goyal, Vin, Cheng 1996).
 */
export class FairQueue {
  readonly #bucket: TokenBucket;
  readonly #now: () => number;
  readonly #wait: (ms: number) => Promise<void>;
  readonly #queue: Waiting[] = [];
  readonly #finish = new Map<string, number>();
  #virtual = 0;
  #isServing = false;

  /** `now` in ms, never going back. */
  constructor(bytesPerSecond: number, now: () => number, wait: (ms: number) => Promise<void>) {
    this.#bucket = new TokenBucket(bytesPerSecond);
    this.#now = now;
    this.#wait = wait;
  }

  /** Nothing waits, and what was let through is paid for. */
  get isIdle(): boolean {
    return !this.#isServing && this.#bucket.isFull(this.#now());
  }

  /** Resolves when so many bytes may leave to this device. */
  turn(device: string, bytes: number): Promise<void> {
    const start = Math.max(this.#virtual, this.#finish.get(device) ?? 0);
    this.#finish.set(device, start + bytes);
    return new Promise((resolve) => {
      this.#queue.push({ start, bytes, resolve });
      if (!this.#isServing) void this.#serve();
    });
  }

  async #serve(): Promise<void> {
    this.#isServing = true;
    while (this.#queue.length > 0) {
      const waitMs = this.#bucket.untilFree(this.#now());
      // Chosen after the wait: who came meanwhile may be behind the others.
      if (waitMs > 0) await this.#wait(waitMs);
      const next = this.#takeLeast();
      this.#bucket.take(next.bytes, this.#now());
      next.resolve();
    }
    this.#isServing = false;
  }

  #takeLeast(): Waiting {
    let least = 0;
    for (const [at, { start }] of this.#queue.entries())
      if (start < (this.#queue[least]?.start ?? 0)) least = at;
    const [next] = this.#queue.splice(least, 1);
    if (!next) throw new Error('Cannot let anything leave: nothing waits');
    this.#virtual = next.start;
    if (this.#finish.size > 2 * this.#queue.length + MOST_IDLE)
      for (const [device, finish] of this.#finish) if (finish <= this.#virtual) this.#finish.delete(device);
    return next;
  }
}
