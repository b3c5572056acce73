import { FairQueue } from './fair-queue.ts';
import { TokenBucket } from './token-bucket.ts';

/** Devices whose pace is remembered though they ask for nothing. */
const MOST_IDLE = 256;

export interface RolloutRate {
  rollout: string;
  /** Of all its devices together. */
  bytesPerSecond: number;
}

export interface EgressRates {
  /** All devices together; absent = no limit. */
  bytesPerSecond?: number | undefined;
  /** Each device by itself; absent = no limit. */
  deviceBytesPerSecond?: number | undefined;
  /** Of the rollout that the device is under way in; undefined = no limit. */
  rateOf(device: string): RolloutRate | undefined;
}

/** Holds what leaves to devices to rates: of each device, of the devices of a rollout, and of all. */
export class Egress {
  readonly #rates: EgressRates;
  readonly #all: FairQueue | undefined;
  readonly #rollouts = new Map<string, FairQueue>();
  readonly #devices = new Map<string, TokenBucket>();
  readonly #now: () => number;
  readonly #wait: (ms: number) => Promise<void>;
  #sentBytes = 0;

  /** `now` in ms, never going back. */
  constructor(rates: EgressRates, now: () => number, wait: (ms: number) => Promise<void>) {
    this.#rates = rates;
    this.#now = now;
    this.#wait = wait;
    if (rates.bytesPerSecond !== undefined) this.#all = new FairQueue(rates.bytesPerSecond, now, wait);
  }

  /** All that was let through since the start. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  isPaced(device: string): boolean {
    const { deviceBytesPerSecond, rateOf } = this.#rates;
    return this.#all !== undefined || deviceBytesPerSecond !== undefined || rateOf(device) !== undefined;
  }

  /** Resolves when so many bytes may leave to this device. */
  async take(device: string, bytes: number): Promise<void> {
    const ownMs = this.#bucketOf(device)?.take(bytes, this.#now()) ?? 0;
    if (ownMs > 0) await this.#wait(ownMs);
    await this.#queueOf(device)?.turn(device, bytes);
    await this.#all?.turn(device, bytes);
    this.#sentBytes += bytes;
  }

  #queueOf(device: string): FairQueue | undefined {
    const rate = this.#rates.rateOf(device);
    if (!rate) return undefined;
    const known = this.#rollouts.get(rate.rollout);
    if (known) return known;
    for (const [rollout, queue] of this.#rollouts) if (queue.isIdle) this.#rollouts.delete(rollout);
    const queue = new FairQueue(rate.bytesPerSecond, this.#now, this.#wait);
    this.#rollouts.set(rate.rollout, queue);
    return queue;
  }

  #bucketOf(device: string): TokenBucket | undefined {
    const rate = this.#rates.deviceBytesPerSecond;
    if (rate === undefined) return undefined;
    const known = this.#devices.get(device);
    if (known) return known;
    const now = this.#now();
    if (this.#devices.size >= MOST_IDLE)
      for (const [id, bucket] of this.#devices) if (bucket.isFull(now)) this.#devices.delete(id);
    const bucket = new TokenBucket(rate);
    this.#devices.set(device, bucket);
    return bucket;
  }
}
