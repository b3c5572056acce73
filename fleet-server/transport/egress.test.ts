import { expect, test } from 'vitest';
import { Egress } from './egress.ts';

function world(bytesPerSecond: number | undefined) {
  const time = { now: 1_000, waited: [] as number[] };
  const egress = new Egress(
    bytesPerSecond,
    () => time.now,
    async (ms) => void time.waited.push(ms),
  );
  return { time, egress };
}

test('without a rate nothing waits', async () => {
  const { egress, time } = world(undefined);
  for (let turn = 0; turn < 100; turn++) await egress.take(1e9);
  expect(time.waited).toEqual([]);
});

test('over time no more leaves than the rate and one burst', async () => {
  const { egress, time } = world(100_000);
  let left = 0;
  for (let turn = 0; turn < 200; turn++) {
    const before = time.waited.length;
    await egress.take(5_000);
    left += 5_000;
    // Whoever waits makes the time pass.
    for (const ms of time.waited.slice(before)) time.now += ms;
    expect(left).toBeLessThanOrEqual(100 * (time.now - 1_000) + 25_000 + 5_000);
  }
  expect(time.now - 1_000).toBeGreaterThan(9_000);
});

test('a pause earns one burst, not more', async () => {
  const { egress, time } = world(100_000);
  time.now += 3_600_000;
  await egress.take(25_000);
  await egress.take(5_000);
  await egress.take(5_000);
  expect(time.waited).toEqual([50]);
});
