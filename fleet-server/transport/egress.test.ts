import { expect, test } from 'vitest';
import { Egress, type RolloutRate } from './egress.ts';

function world(
  bytesPerSecond?: number,
  deviceBytesPerSecond?: number,
  rates: Record<string, RolloutRate> = {},
) {
  const time = { now: 1_000, waited: [] as number[] };
  const egress = new Egress(
    { bytesPerSecond, deviceBytesPerSecond, rateOf: (device) => rates[device] },
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

const slow = { rollout: 'slow', bytesPerSecond: 100_000 };

test('the devices of a rollout share its rate evenly, and nobody else is held by it', async () => {
  const { egress, time } = world(undefined, undefined, { 'boat-1': slow, 'boat-2': slow });
  const order: string[] = [];
  const ask = (device: string) => egress.take(device, 25_000).then(() => order.push(device));
  await Promise.all([...Array.from({ length: 4 }, () => ask('boat-1')), ask('boat-2'), ask('boat-2')]);
  // The first two of boat-1 went before boat-2 asked.
  expect(order).toEqual(['boat-1', 'boat-1', 'boat-2', 'boat-1', 'boat-2', 'boat-1']);
  expect(time.waited.length).toBeGreaterThan(0);
  time.waited.length = 0;
  for (let turn = 0; turn < 100; turn++) await egress.take('boat-3', 1e9);
  expect(time.waited).toEqual([]);
  expect(['boat-1', 'boat-3'].map((device) => egress.isPaced(device))).toEqual([true, false]);
});

test('a rate that a rollout was started with anew holds from then on', async () => {
  const rates: Record<string, RolloutRate> = { 'boat-1': slow };
  const { egress, time } = world(undefined, undefined, rates);
  for (let turn = 0; turn < 3; turn++) await egress.take('boat-1', 25_000);
  const before = time.waited.length;
  rates['boat-1'] = { rollout: 'quick', bytesPerSecond: 10_000_000 };
  await egress.take('boat-1', 25_000);
  expect(time.waited).toHaveLength(before);
  delete rates['boat-1'];
  await egress.take('boat-1', 1e9);
  expect(time.waited).toHaveLength(before);
});
