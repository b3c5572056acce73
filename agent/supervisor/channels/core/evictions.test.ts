import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CHANNEL_BLOCK_MS } from '../../../../protocol/channels.ts';
import type { AckCounters, RingCounters } from './counters.ts';
import { type EvictionMemory, judgeEvictions, NO_EVICTIONS } from './evictions.ts';

const DEPTH = 8;
const LOOK_MS = 250;

const ring = (head: number, more: Partial<RingCounters> = {}): RingCounters => ({
  epoch: 1,
  head: BigInt(head),
  bytes: 0,
  blocked: 0,
  dropped: 0,
  wakes: 0,
  isWaiting: false,
  ...more,
});
const ack = (cursor: number): AckCounters => ({
  attachedEpoch: 1,
  cursor: BigInt(cursor),
  received: 0,
  overruns: 0,
  resets: 0,
  torn: 0,
});

/** Looks at the same ring in turn, with a subscriber at each of these cursors. */
function looks(cursors: number[], of: (index: number) => RingCounters, isEvicted = false) {
  let memory: EvictionMemory = NO_EVICTIONS;
  return cursors.map((cursor, index) => {
    const subscribers = [{ name: 'slow', isEvicted, acks: [ack(cursor)] }];
    const verdict = judgeEvictions(memory, {
      depth: DEPTH,
      rings: [of(index)],
      subscribers,
      now: index * LOOK_MS,
    });
    memory = verdict;
    return verdict;
  });
}

const evicted = (verdicts: { evict: string[] }[]): number =>
  verdicts.findIndex(({ evict }) => evict.length > 0);

test('who stands still a whole ring behind a waiting publisher is evicted when the bound has passed', () => {
  const verdicts = looks(Array(8).fill(0), () => ring(DEPTH, { isWaiting: true }));
  expect(evicted(verdicts)).toBe(CHANNEL_BLOCK_MS / LOOK_MS);
});

test('a publisher that does not sleep but drops counts as held up too', () => {
  const verdicts = looks(Array(8).fill(0), (index) => ring(DEPTH, { dropped: index }));
  expect(evicted(verdicts)).toBe(CHANNEL_BLOCK_MS / LOOK_MS);
});

test('nobody is evicted while no publisher waits, however far behind', () => {
  expect(evicted(looks(Array(20).fill(0), () => ring(DEPTH)))).toBe(-1);
  expect(evicted(looks(Array(20).fill(0), () => ring(DEPTH, { blocked: 5, dropped: 7 })))).toBe(-1);
});

test('a publisher that gave up waiting ends the count', () => {
  const verdicts = looks(Array(20).fill(0), (index) => ring(DEPTH, { isWaiting: index < 2 }));
  expect(evicted(verdicts)).toBe(-1);
});

test('one place short of a whole ring is no reason', () => {
  expect(evicted(looks(Array(20).fill(1), () => ring(DEPTH, { isWaiting: true })))).toBe(-1);
});

test('an evicted one is restored within half a ring of every publisher, not before', () => {
  const far = looks([0], () => ring(DEPTH / 2 + 1), true);
  const near = looks([0], () => ring(DEPTH / 2), true);
  expect([far[0]?.restore, near[0]?.restore]).toEqual([[], ['slow']]);
  const subscribers = [{ name: 'slow', isEvicted: true, acks: [ack(8), ack(0)] }];
  const rings = [ring(8), ring(8)];
  expect(judgeEvictions(NO_EVICTIONS, { depth: DEPTH, rings, subscribers, now: 0 }).restore).toEqual([]);
});

/** A publisher that fills its ring and then waits; a subscriber that takes as `takes` says, one entry a look. */
function run(takes: readonly number[]) {
  let [head, cursor, memory] = [DEPTH, 0, NO_EVICTIONS];
  const still: number[] = [];
  const evictions: number[] = [];
  let stillFor = 0;
  for (const [index, take] of takes.entries()) {
    const taken = Math.min(take, head - cursor);
    cursor += taken;
    stillFor = taken > 0 ? 0 : stillFor + 1;
    head = Math.min(head + take, cursor + DEPTH);
    const isWaiting = head - cursor >= DEPTH;
    const subscribers = [{ name: 'one', isEvicted: false, acks: [ack(cursor)] }];
    const look = { depth: DEPTH, rings: [ring(head, { isWaiting })], subscribers, now: index * LOOK_MS };
    const verdict = judgeEvictions(memory, look);
    memory = verdict;
    if (verdict.evict.length > 0) evictions.push(index);
    if (stillFor * LOOK_MS > CHANNEL_BLOCK_MS + LOOK_MS && isWaiting) still.push(index);
  }
  return { still, evictions };
}

test('whoever moves within the bound stays, whoever does not goes', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 60 }), (takes) => {
      const { still, evictions } = run(takes);
      const longest = Math.max(
        0,
        ...takes
          .join('')
          .split(/[1-3]+/)
          .map((zeros) => zeros.length),
      );
      const mayEvict = longest * LOOK_MS >= CHANNEL_BLOCK_MS;
      expect(evictions.length > 0 && !mayEvict).toBe(false);
      const latest = still[0] ?? Infinity;
      expect((evictions[0] ?? (still.length > 0 ? Infinity : -1)) <= latest).toBe(true);
    }),
  );
});
