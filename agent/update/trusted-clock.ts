import { randomBytes } from 'node:crypto';
import { openTime, type TimeRequest } from '../../protocol/signed-time.ts';
import type { DeviceHealth } from '../../protocol/status.ts';

export interface TrustedClockOptions {
  device: string;
  /** System clock, Unix ms. */
  system(): number;
  /** Runs on at the pace of time whatever is done to the system clock, in ms from anywhere. */
  monotonic(): number;
  /** Whether something keeps the system clock right. */
  isSynchronised(): NonNullable<DeviceHealth['clock']>['state'];
  /** SPKI PEM of the key that signs the server's time; undefined: nobody's does. */
  fleetKey(): string | undefined;
}

/**
 * The time that decides whether signed metadata has expired. A clock that nobody keeps right counts for nothing: a
 * board without a battery begins in 1970, or anywhere. Such a device asks the server, with a number used once.
 */
export class TrustedClock {
  readonly #options: TrustedClockOptions;
  #nonce: string | undefined;
  #told: { at: number; monotonic: number } | undefined;

  constructor(options: TrustedClockOptions) {
    this.#options = options;
  }

  /** Unix ms, never before `floor`: what the device has seen signed already. */
  now(floor: number): number {
    return Math.max(this.#clock() ?? floor, floor);
  }

  /** What to ask the server on connecting; undefined when there is no need to. */
  request(): TimeRequest | undefined {
    if (this.#options.isSynchronised() === 'synchronised') return undefined;
    this.#nonce = randomBytes(16).toString('hex');
    return { v: 1, nonce: this.#nonce };
  }

  /** dn/time as it came. The time it tells, Unix ms; undefined when it is not the answer to what was asked last. */
  answered(document: unknown): number | undefined {
    const { device, fleetKey, monotonic } = this.#options;
    const key = fleetKey();
    if (this.#nonce === undefined || key === undefined) return undefined;
    const at = openTime(document, { device, nonce: this.#nonce }, key);
    if (at === undefined) return undefined;
    this.#nonce = undefined;
    this.#told = { at, monotonic: monotonic() };
    return at;
  }

  #clock(): number | undefined {
    const { isSynchronised, system, monotonic } = this.#options;
    const state = isSynchronised();
    if (state === 'synchronised') return system();
    // Whole: what is reported and signed knows no fractions.
    if (this.#told) return this.#told.at + Math.floor(monotonic() - this.#told.monotonic);
    return state === 'unsynchronised' ? undefined : system();
  }
}
