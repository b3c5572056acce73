import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from '../../../protocol/durable-file.ts';
import { LEASE_MAX_MS, type Lease } from '../core/hold.ts';

const WHY_MAX = 200;

/** Leases taken by hand, which survive a reboot. One a holder; taking it again renews it. */
export class Leases {
  readonly #path: string;
  #leases: readonly Lease[];

  constructor(stateDir: string) {
    this.#path = join(stateDir, 'leases.json');
    this.#leases = read(this.#path);
  }

  /** Those that have not run out at `now`, Unix ms, the one that holds longest first. */
  held(now: number): Lease[] {
    // What lies further ahead than can be asked for was taken before the clock was set back.
    const isHeld = ({ until }: Lease) => until > now && until - now <= LEASE_MAX_MS;
    return this.#leases.filter(isHeld).sort((a, b) => b.until - a.until);
  }

  /** Durable at return. Throws an Error that says what is wrong with it. */
  async take({ holder, why, until }: Lease, now: number): Promise<void> {
    const forMs = until - now;
    if (!(forMs > 0 && forMs <= LEASE_MAX_MS))
      throw new Error('Cannot take lease: it is to last longer than nothing and at most 7 days');
    const others = this.held(now).filter((lease) => lease.holder !== holder);
    await this.#keep([...others, { holder, why: why.slice(0, WHY_MAX), until }]);
  }

  /** Gives it back early; false when there was none. */
  async release(holder: string, now: number): Promise<boolean> {
    const held = this.held(now);
    const others = held.filter((lease) => lease.holder !== holder);
    if (others.length === held.length) return false;
    await this.#keep(others);
    return true;
  }

  async #keep(leases: readonly Lease[]): Promise<void> {
    await replaceFile(this.#path, JSON.stringify(leases), 0o600);
    this.#leases = leases;
  }
}

/** A file that is not there, or that cannot be read, holds nobody up. */
function read(path: string): Lease[] {
  try {
    const leases: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return Array.isArray(leases) ? leases.filter(isLease) : [];
  } catch {
    return [];
  }
}

const isLease = (value: unknown): value is Lease => {
  const { holder, why, until } = (value ?? {}) as Partial<Lease>;
  return typeof holder === 'string' && typeof why === 'string' && typeof until === 'number';
};
