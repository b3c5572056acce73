import { LIMITS } from '../../protocol/limits.ts';

/** Who is online: an open control session, or a message within the lease. */
export class Presence {
  readonly #now: () => number;
  readonly #open = new Set<string>();
  readonly #heardAt = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  opened(device: string): void {
    this.#open.add(device);
    this.heard(device);
  }

  closed(device: string): void {
    this.#open.delete(device);
  }

  heard(device: string): void {
    this.#heardAt.set(device, this.#now());
  }

  isOnline(device: string): boolean {
    if (this.#open.has(device)) return true;
    const heardAt = this.#heardAt.get(device);
    return heardAt !== undefined && this.#now() - heardAt < LIMITS.presenceLeaseMs;
  }

  /** Devices whose lease ran out since the last call. */
  lapsed(): string[] {
    const gone = [...this.#heardAt.keys()].filter((device) => !this.isOnline(device));
    for (const device of gone) this.#heardAt.delete(device);
    return gone;
  }
}
