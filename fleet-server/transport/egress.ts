/** Longest burst at full speed, in ms of the rate. */
const BURST_MS = 250;
/** Devices whose pace is remembered though they ask for nothing. */
const MOST_IDLE = 256;

export interface EgressRates {
  /** All devices together; absent = no limit. */
  bytesPerSecond?: number | undefined;
  /** Each device by itself; absent = no limit. */
  deviceBytesPerSecond?: number | undefined;
}

interface Waiting {
  /** Bytes that its device had been let through, in the time of the queue: the least goes first. */
  start: number;
  bytes: number;
  resolve(): void;
}

/**
 * Holds what leaves to devices to rates. Of devices that wait at once each gets the same share in bytes, whatever it
 * asks over and in how many connections: start-time fair queueing (Goyal, Vin, Cheng 1996).
 */
export class Egress {
  readonly #all: Bucket | undefined;
  readonly #deviceRate: number | undefined;
  readonly #devices = new Map<string, Bucket>();
  readonly #now: () => number;
  readonly #wait: (ms: number) => Promise<void>;
  readonly #queue: Waiting[] = [];
  readonly #finish = new Map<string, number>();
  #virtual = 0;
  #isServing = false;
  #sentBytes = 0;

  /** `now` in ms, never going back. */
  constructor(rates: EgressRates, now: () => number, wait: (ms: number) => Promise<void>) {
    this.#all = rates.bytesPerSecond === undefined ? undefined : new Bucket(rates.bytesPerSecond);
    this.#deviceRate = rates.deviceBytesPerSecond;
    this.#now = now;
    this.#wait = wait;
  }

  /** All that was let through since the start. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  get isLimited(): boolean {
    return this.#all !== undefined || this.#deviceRate !== undefined;
  }

  /** Resolves when so many bytes may leave to this device. */
  async take(device: string, bytes: number): Promise<void> {
    const ownMs = this.#bucketOf(device)?.take(bytes, this.#now()) ?? 0;
    if (ownMs > 0) await this.#wait(ownMs);
    if (this.#all) await this.#turn(device, bytes);
    this.#sentBytes += bytes;
  }

  #bucketOf(device: string): Bucket | undefined {
    if (this.#deviceRate === undefined) return undefined;
    const known = this.#devices.get(device);
    if (known) return known;
    const now = this.#now();
    if (this.#devices.size >= MOST_IDLE)
      for (const [id, bucket] of this.#devices) if (bucket.isFull(now)) this.#devices.delete(id);
    const bucket = new Bucket(this.#deviceRate);
    this.#devices.set(device, bucket);
    return bucket;
  }

  #turn(device: string, bytes: number): Promise<void> {
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
      const waitMs = this.#all?.untilFree(this.#now()) ?? 0;
      // Chosen after the wait: who came meanwhile may be behind the others.
      if (waitMs > 0) await this.#wait(waitMs);
      const next = this.#takeLeast();
      this.#all?.take(next.bytes, this.#now());
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

/** A token bucket, kept as the time until which what was taken pays for. */
class Bucket {
  readonly #bytesPerMs: number;
  #paidUntil = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  untilFree(now: number): number {
    return Math.max(0, this.#paidUntil - now);
  }

  /** How long whoever takes these has to wait. */
  take(bytes: number, now: number): number {
    const from = Math.max(this.#paidUntil, now - BURST_MS);
    this.#paidUntil = from + bytes / this.#bytesPerMs;
    return Math.max(0, from - now);
  }

  isFull(now: number): boolean {
    return this.#paidUntil <= now - BURST_MS;
  }
}
