import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { decodeBitmap } from '../../../protocol/chunk-frame.ts';
import type { Get } from '../../../protocol/messages.ts';
import { Pull } from './pull.ts';

const CHUNK = 64 * 1024;
const CHUNKS = 8;

let gets: Get[];
let taken: number[];
let pull: Pull;
let ended: string | undefined;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  gets = [];
  taken = [];
  ended = undefined;
  pull = new Pull({
    object: 'blob',
    chunks: Array.from({ length: CHUNKS }, (_none, at) => at),
    chunkBytes: CHUNK,
    answerMs: 1_000,
    silences: 5,
    send: (get) => gets.push(get),
    nextRequest: () => gets.length + 1,
    onChunk: async ({ index }) => void taken.push(index),
  });
  pull.done.then(
    () => (ended = 'done'),
    (error: Error) => (ended = error.name),
  );
});
afterEach(() => vi.useRealTimers());

const isOver = () => ended !== undefined;

const answer = async (request: number, index: number): Promise<void> => {
  const payload = Buffer.alloc(CHUNK);
  pull.onFrame({ request, index, chunkBytes: CHUNK, objectBytes: CHUNKS * CHUNK, payload });
  await vi.advanceTimersByTimeAsync(0);
};

/** A link that carries one chunk at a time, each so long, in the order in which they were asked for. */
async function carryAll(msPerChunk: number): Promise<number> {
  let carried = 0;
  const queue: [number, number][] = [];
  for (let seen = 0; !isOver(); ) {
    for (; seen < gets.length; seen++) {
      const get = gets[seen];
      for (const index of get ? (decodeBitmap(get.first, get.bitmap) ?? []) : [])
        queue.push([get?.request ?? 0, index]);
    }
    const next = queue.shift();
    if (!next) throw new Error('nothing was asked for');
    await vi.advanceTimersByTimeAsync(msPerChunk);
    await answer(...next);
    carried++;
  }
  return carried;
}

test('a link that takes longer for a chunk than the wait is soon asked once for each', async () => {
  const carried = await carryAll(2_500);
  expect(ended).toBe('done');
  expect(new Set(taken).size).toBe(CHUNKS);
  expect(taken).toHaveLength(CHUNKS);
  // What was asked for twice before the link was known.
  expect(carried - CHUNKS).toBeLessThanOrEqual(4);
});

test('silence is asked into again, then given up', async () => {
  await vi.advanceTimersByTimeAsync(4_000);
  expect(gets.length).toBeGreaterThan(1);
  expect(ended).toBeUndefined();
  await vi.advanceTimersByTimeAsync(6_000);
  expect(ended).toBe('SilentError');
});

test('a source that only repeats what it has sent is given up too', async () => {
  await answer(1, 0);
  for (let turn = 0; turn < 60 && !isOver(); turn++) {
    await vi.advanceTimersByTimeAsync(500);
    await answer(1, 0);
  }
  expect(ended).toBe('SilentError');
  expect(taken).toEqual([0]);
});
