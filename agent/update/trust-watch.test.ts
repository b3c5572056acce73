import { expect, test } from 'vitest';
import { FakeClock } from '../supervisor/fake-clock.ts';
import type { RefreshVerdict } from './ports.ts';
import { FakeSource } from './sources/fake-source.ts';
import { SourceError } from './sources/source-error.ts';
import { TrustWatch } from './trust-watch.ts';

const HOUR = 3_600_000;

function watch() {
  const clock = new FakeClock();
  const world = {
    isOnline: true,
    looks: 0,
    stale: [] as string[],
    answer: async (): Promise<RefreshVerdict> => ({ ok: true, expiresAt: clock.now() + 24 * HOUR }),
  };
  const watched = new TrustWatch({
    trust: {
      refresh: () => {
        world.looks += 1;
        return world.answer();
      },
    },
    source: new FakeSource(),
    clock,
    now: () => clock.now(),
    isOnline: () => world.isOnline,
    onStale: ({ code }) => void world.stale.push(code),
    log: { info: () => undefined, warn: () => undefined },
  });
  watched.start();
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += HOUR / 4) await clock.advance(HOUR / 4);
  };
  return { world, watched, pass };
}
const expired = async (): Promise<RefreshVerdict> => ({
  ok: false,
  code: 'refused.metadata-expired',
  message: 'timestamp.json has expired',
});

test('it looks twice in the life of a timestamp, and says until when what it has holds', async () => {
  const { world, watched, pass } = watch();
  await pass(24 * HOUR);
  expect(world.looks).toBe(3);
  expect(watched.freshness).toMatchObject({ checkedAt: expect.any(Number), expiresAt: expect.any(Number) });
  expect(watched.freshness.fault).toBeUndefined();
  await watched.stop();
});

test('metadata that runs out is told once, looked at again soon, and over when fresh comes', async () => {
  const { world, watched, pass } = watch();
  await pass(HOUR);
  world.answer = expired;
  await pass(12 * HOUR);
  expect(world.stale).toEqual(['refused.metadata-expired']);
  expect(watched.freshness).toMatchObject({
    fault: { code: 'refused.metadata-expired' },
    expiresAt: expect.any(Number),
  });
  world.answer = async () => ({ ok: true, expiresAt: 99 * HOUR });
  await pass(HOUR);
  expect(watched.freshness.fault).toBeUndefined();
  await watched.stop();
});

test('a line that broke, or none, is no judgement', async () => {
  const { world, watched, pass } = watch();
  world.answer = () => Promise.reject(new SourceError('unreachable', 'gone'));
  await pass(2 * HOUR);
  expect(world.stale).toEqual([]);
  const { looks } = world;
  world.isOnline = false;
  await pass(2 * HOUR);
  expect(world.looks).toBe(looks);
  await watched.stop();
  await pass(2 * HOUR);
  expect(world.looks).toBe(looks);
});
