import { expect, test } from 'vitest';
import { FakeClock } from './fake-clock.ts';
import type { ObservedContainer } from './ports.ts';
import { UsageSampler } from './usage-sampler.ts';

const START = 1_000_000;
const container = (pid: number): ObservedContainer => ({
  service: 'one',
  specDigest: '',
  state: 'running',
  pid,
  startedAt: START,
});

test('CPU is the mean since the sample before; a young process is not judged by its first moments', async () => {
  const clock = new FakeClock(START);
  let cpuUsec = 0;
  const cgroups = {
    usage: async () => ({ memoryBytes: 1, cpuUsec, pids: 1, throttledUsec: 0, oomKills: 0 }),
    read: async () => ({ memoryMaxBytes: 1, cpuMax: 0.25, pidsMax: 1 }),
  };
  const sampler = new UsageSampler(cgroups, clock);
  const sampleAfter = async (ms: number, usedUsec: number, pid = 7): Promise<number | undefined> => {
    await clock.advance(ms);
    cpuUsec += usedUsec;
    await sampler.sample([container(pid)]);
    return sampler.get('one')?.cpu;
  };
  expect(await sampleAfter(100, 80_000)).toBeUndefined();
  expect(sampler.hasSeen('one', 7)).toBe(false);
  // 0.28 cores, of which the runtime used some before the process began.
  expect(await sampleAfter(900, 200_000)).toBe(0.25);
  expect(await sampleAfter(1000, 100_000)).toBe(0.1);
  // A budget that is not held must show.
  expect(await sampleAfter(1000, 900_000)).toBe(0.9);
});
