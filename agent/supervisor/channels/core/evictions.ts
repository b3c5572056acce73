import { CHANNEL_BLOCK_MS } from '../../../../protocol/channels.ts';
import { type AckCounters, lagOf, type RingCounters } from './counters.ts';

/** What one look leaves for the next, of one reliable channel. Times are monotonic, ms. */
export interface EvictionMemory {
  at: number;
  /** By subscriber that is a whole ring behind: where it stands, and for how long it has held a publisher up there. */
  stuck: ReadonlyMap<string, { cursors: string; heldUpMs: number }>;
  /** By ring: waits and drops that were counted. */
  waits: readonly number[];
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

export const NO_EVICTIONS: EvictionMemory = { at: Infinity, stuck: new Map(), waits: [] };

/**
 * Who is evicted now: a subscriber that stands still a whole ring behind, and has held a publisher up there for
 * CHANNEL_BLOCK_MS in all. One that moves, however slowly, is not. An evicted one is restored when it is within half a
 * ring again.
 */
export function judgeEvictions(before: EvictionMemory, look: EvictionLook): EvictionVerdict {
  const { depth, now } = look;
  const waits = look.rings.map(({ blocked, dropped }) => blocked + dropped);
  const isHeldUp = look.rings.map(
    ({ isWaiting }, index) => isWaiting || (waits[index] ?? 0) > (before.waits[index] ?? Infinity),
  );
  const verdict = { at: now, stuck: new Map(), waits, evict: [] as string[], restore: [] as string[] };
  for (const { name, isEvicted, acks } of look.subscribers) {
    const lags = look.rings.map((ring, index) => {
      const ack = acks[index];
      return ack === undefined ? 0 : lagOf(ring, ack);
    });
    if (isEvicted) {
      if (lags.every((lag) => lag <= depth / 2)) verdict.restore.push(name);
      continue;
    }
    if (!lags.some((lag) => lag >= depth)) continue;
    const cursors = acks.map(({ cursor }) => cursor).join();
    const last = before.stuck.get(name);
    const held = lags.some((lag, index) => lag >= depth && isHeldUp[index])
      ? Math.max(0, now - before.at)
      : 0;
    const heldUpMs = last?.cursors === cursors ? last.heldUpMs + held : 0;
    if (heldUpMs >= CHANNEL_BLOCK_MS) verdict.evict.push(name);
    else verdict.stuck.set(name, { cursors, heldUpMs });
  }
  return verdict;
}
