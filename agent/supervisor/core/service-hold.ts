import { isoTime } from '../../../protocol/instant.ts';

/** A service that somebody stopped by hand, for a time. Plain JSON in the ledger. */
export interface ServiceHold {
  v: 1;
  /** Who says they did. */
  by: string;
  why?: string | undefined;
  /** By the device's clock, Unix ms. */
  at: number;
  until: number;
  /** The boot in which it began, and how long the device had been up then, ms: no clock that is set moves these. */
  boot: { id: string; upMs: number };
}

/** One that is in force. */
export interface HoldInForce extends ServiceHold {
  /** When it ends by itself as the clock stands now, Unix ms. */
  endsAt: number;
}

/** A stop by hand ends by itself: nobody has to remember it. */
export const HOLD_MAX_MS = 7 * 86_400_000;
export const HOLD_DEFAULT_MS = 3_600_000;

export interface HoldTimes {
  /** Unix ms. */
  now: number;
  bootId: string;
  /** How long the device has been up, ms. */
  upMs: number;
  /** How long it had been up when this agent first saw the hold, ms. */
  seenUpMs: number;
}

/**
 * How long the hold still lasts, ms; 0 = it is over. In the boot in which it began time is counted, not read. After a
 * reboot the clock decides, unless it lies before the beginning: a board without a battery for its clock comes up in the
 * past, so the whole time is counted anew until the clock has been set.
 */
export function remainingMs(hold: ServiceHold, { now, bootId, upMs, seenUpMs }: HoldTimes): number {
  const length = Math.min(hold.until - hold.at, HOLD_MAX_MS);
  if (hold.boot.id === bootId) return left(length - (upMs - hold.boot.upMs));
  return left(now < hold.at ? length - (upMs - seenUpMs) : Math.min(hold.until - now, length));
}

const left = (ms: number): number => Math.max(0, ms);

/** "ada stopped it by hand until 2026-11-21T12:00:00Z: cleaning the lens" */
export const holdText = ({ by, why, until }: Pick<ServiceHold, 'by' | 'why' | 'until'>): string =>
  `${by} stopped it by hand until ${isoTime(until)}${why ? `: ${why}` : ''}`;

/** The hold as an earlier run wrote it; undefined when it cannot be read. */
export function parseHold(text: string): ServiceHold | undefined {
  try {
    const hold = JSON.parse(text) as ServiceHold;
    const isWhole = [hold.at, hold.until, hold.boot.upMs].every(Number.isFinite);
    return hold.v === 1 && isWhole && typeof hold.by === 'string' ? hold : undefined;
  } catch {
    return undefined;
  }
}

/** Services that a hold keeps from running: those that are held, and those that wait for them to start. */
export function heldBack(
  services: readonly { name: string; needs: readonly string[]; isWaiting: boolean }[],
  held: { has(service: string): boolean },
): Set<string> {
  const found = new Set(services.filter(({ name }) => held.has(name)).map(({ name }) => name));
  for (let size = -1; size !== found.size; ) {
    size = found.size;
    for (const { name, needs, isWaiting } of services)
      if (isWaiting && needs.some((needed) => found.has(needed))) found.add(name);
  }
  return found;
}
