import { expect, test } from 'vitest';
import { DISK_RESERVE_BYTES, planFetch, shortfallOf } from './fetch-plan.ts';

const layer = (letter: string, size: number) => ({
  verity: letter.repeat(64),
  size,
  diffId: 'd'.repeat(64),
});

test('counts what is lacking, what an earlier try brought and what is reused', () => {
  const plan = planFetch(
    [layer('a', 100), layer('b', 200), layer('c', 300)],
    new Map([
      ['a'.repeat(64), { isWhole: true, partialBytes: 0 }],
      ['b'.repeat(64), { isWhole: false, partialBytes: 50 }],
    ]),
  );
  expect(plan).toMatchObject({ totalBytes: 500, doneBytes: 50, reusedBytes: 100 });
  expect(plan.lacking.map(({ size }) => size)).toEqual([200, 300]);
  expect(shortfallOf(plan, DISK_RESERVE_BYTES + 450)).toBe(0);
  expect(shortfallOf(plan, DISK_RESERVE_BYTES + 449)).toBe(1);
});
