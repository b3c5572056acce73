import { CHANNEL_BLOCK_MS } from '../../../../protocol/channels.ts';
import { type AckCounters, lagOf, type RingCounters } from './counters.ts';

/** What one look leaves for the next, of one reliable channel. Times are monotonic, ms. */
export interface EvictionMemory {
  /** By subscriber that is a whole ring behind a publisher that waits: since when, and where it stood. */
  stuck: ReadonlyMap<string, { since: number; cursors: string }>;
  /** By ring: waits and drops that were counted, and when the publisher was last seen held up. */
  rings: readonly { heldUp: number; at: number }[];
}

export interface EvictionLook {
  depth: number;
  rings: readonly RingCounters[];
  /** Those that run: publishers do not wait for the others. */
  subscribers: readonly { name: string; isEvicted: boolean; acks: readonly AckCounters[] }[];
  now: number;
}

export interface EvictionVerdict extends EvictionMemory {
  evict: string[];
  restore: string[];
}

export const NO_EVICTIONS: EvictionMemory = { stuck: new Map(), rings: [] };

/**
 * Who is evicted now: a subscriber that stood still for CHANNEL_BLOCK_MS a whole ring behind a publisher that waited
 * for it. One that moves, however slowly, is not. An evicted one is restored when it is within half a ring again.
 */
export function judgeEvictions(before: EvictionMemory, look: EvictionLook): EvictionVerdict {
  const { depth, now } = look;
  const rings = look.rings.map((ring, index) => heldUp(before.rings[index], ring, now));
  const isHeldUp = rings.map(({ at }) => now - at < CHANNEL_BLOCK_MS);
  const stuck = new Map<string, { since: number; cursors: string }>();
  const evict: string[] = [];
  const restore: string[] = [];
  for (const { name, isEvicted, acks } of look.subscribers) {
    const lags = look.rings.map((ring, index) => {
      const ack = acks[index];
      return ack === undefined ? 0 : lagOf(ring, ack);
    });
    if (isEvicted) {
      if (lags.every((lag) => lag <= depth / 2)) restore.push(name);
      continue;
    }
    if (!lags.some((lag, index) => lag >= depth && isHeldUp[index])) continue;
    const cursors = acks.map(({ cursor }) => cursor).join();
    const last = before.stuck.get(name);
    const since = last?.cursors === cursors ? last.since : now;
    if (now - since >= CHANNEL_BLOCK_MS) evict.push(name);
    else stuck.set(name, { since, cursors });
  }
  return { evict, restore, stuck, rings };
}

function heldUp(
  before: EvictionMemory['rings'][number] | undefined,
  { isWaiting, blocked, dropped }: RingCounters,
  now: number,
): EvictionMemory['rings'][number] {
  const count = blocked + dropped;
  const hasRisen = before !== undefined && count > before.heldUp;
  return { heldUp: count, at: isWaiting || hasRisen ? now : (before?.at ?? -Infinity) };
}
