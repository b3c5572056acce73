import { expect, test } from 'vitest';
import { Egress } from './egress.ts';

function world(bytesPerSecond?: number, deviceBytesPerSecond?: number) {
  const time = { now: 1_000, waited: [] as number[] };
  const egress = new Egress(
    { bytesPerSecond, deviceBytesPerSecond },
    () => time.now,
    async (ms) => void time.waited.push(ms),
  );
  return { time, egress };
}

test('without a rate nothing waits', async () => {
  const { egress, time } = world();
  for (let turn = 0; turn < 100; turn++) await egress.take('boat-1', 1e9);
  expect(time.waited).toEqual([]);
});

test('over time no more leaves than the rate and one burst', async () => {
  const { egress, time } = world(100_000);
  let left = 0;
  for (let turn = 0; turn < 200; turn++) {
    const before = time.waited.length;
    await egress.take('boat-1', 5_000);
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
  await egress.take('boat-1', 25_000);
  await egress.take('boat-1', 5_000);
  await egress.take('boat-1', 5_000);
  expect(time.waited).toEqual([50]);
});

test('of devices that wait at once each gets the same bytes, whatever it asks for at a time', async () => {
  const { egress, time } = world(1_000_000);
  const got = new Map<string, number>();
  let isOver = false;
  // A greedy one asks over four connections, for four times as much at a time.
  const readers = [
    ...Array.from({ length: 4 }, () => ['greedy', 256_000] as const),
    ...Array.from({ length: 19 }, (_none, index) => [`boat-${index}`, 64_000] as const),
  ];
  const reading = readers.map(async ([device, bytes]) => {
    while (!isOver) {
      await egress.take(device, bytes);
      time.now += bytes / 1000;
      got.set(device, (got.get(device) ?? 0) + bytes);
      isOver ||= egress.sentBytes > 200_000_000;
    }
  });
  await Promise.all(reading);
  const shares = [...got.values()];
  expect(shares).toHaveLength(20);
  expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(8 * 256_000);
});

test('a device by itself gets no more than its own rate, and costs the others nothing', async () => {
  const { egress, time } = world(undefined, 100_000);
  for (let turn = 0; turn < 10; turn++) await egress.take('boat-1', 25_000);
  expect(time.waited.at(-1)).toBe(2_000);
  time.waited.length = 0;
  await egress.take('boat-2', 25_000);
  expect(time.waited).toEqual([]);
});
