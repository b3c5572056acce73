import { describe, expect, test } from 'vitest';
import type { Budget } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { budgetDrift, budgetText, holdsBudget, MONITOR, totalBudget } from './budget.ts';

const MIB = 1024 ** 2;
const budget: Budget = { memoryMaxBytes: 8 * MIB, cpuMax: 0.25, pidsMax: 10 };
const full: Budget = {
  ...budget,
  memoryHighBytes: 6 * MIB,
  memoryMinBytes: 2 * MIB,
  swapMaxBytes: MIB,
  cpuWeight: 50,
  cpuset: '0-1,3',
  io: { weight: 5000, readBps: 1, writeBps: 2, readIops: 3, writeIops: 4 },
};

describe('a budget', () => {
  test.each<[string, Budget, Budget]>([
    ['read back as it was written', full, full],
    ['rounded down to pages', { ...budget, memoryMaxBytes: 8 * MIB + 1000 }, budget],
    ['with a quota in whole microseconds', { ...budget, cpuMax: 1 / 3 }, { ...budget, cpuMax: 0.33333 }],
    [
      'whose CPUs the kernel writes otherwise',
      { ...budget, cpuset: '1,0,3' },
      { ...budget, cpuset: '0-1,3' },
    ],
    ['whose weight bfq rounds', full, { ...full, io: { ...full.io, weight: 4995 } }],
    ['that asks for defaults', { ...budget, swapMaxBytes: 0, cpuWeight: 100, io: { weight: 100 } }, budget],
    ['without CPUs where the kernel lists all', budget, { ...budget, cpuset: '0-3' }],
  ])('%s is held', (_what, wanted, held) => {
    expect(budgetDrift(wanted, held)).toEqual([]);
  });

  test.each<[string, Budget]>([
    ['memoryMaxBytes', { ...full, memoryMaxBytes: 8 * MIB + 4096 }],
    ['memoryHighBytes', { ...full, memoryHighBytes: undefined }],
    ['memoryMinBytes', { ...full, memoryMinBytes: undefined }],
    ['swapMaxBytes', { ...full, swapMaxBytes: 2 * MIB }],
    ['cpuMax', { ...full, cpuMax: Infinity }],
    ['cpuWeight', { ...full, cpuWeight: undefined }],
    ['cpuset', { ...full, cpuset: '0-3' }],
    ['pidsMax', { ...full, pidsMax: 11 }],
    ['io.weight', { ...full, io: { ...full.io, weight: 100 } }],
    ['io.writeBps', { ...full, io: { ...full.io, writeBps: undefined } }],
  ])('whose %s is another in the kernel has drifted in that alone', (name, held) => {
    expect(budgetDrift(full, held)).toEqual([name]);
    expect(holdsBudget(full, held)).toBe(false);
  });

  test('that asks for no limit has drifted when the kernel holds one', () => {
    expect(budgetDrift(budget, { ...budget, io: { writeBps: 1 } })).toEqual(['io.writeBps']);
    expect(budgetDrift(budget, { ...budget, memoryHighBytes: MIB })).toEqual(['memoryHighBytes']);
    expect(budgetDrift(budget, { ...budget, swapMaxBytes: Infinity })).toEqual(['swapMaxBytes']);
  });

  test('is held without what the kernel cannot hold, but not when it holds something else', () => {
    const degraded = [{ what: 'io.writeBps', why: 'direct writes only' }];
    const wanted = { ...budget, io: { writeBps: 4096 } };
    expect(holdsBudget(wanted, budget, degraded)).toBe(true);
    expect(holdsBudget(wanted, { ...budget, io: { writeBps: 9999 } }, degraded)).toBe(false);
  });

  test('is told with all that is set, or with what drifted alone', () => {
    expect(budgetText(budget)).toBe('8.0 MiB, 0.25 cores, 10 pids');
    expect(budgetText(full, ['cpuset', 'io.weight'])).toBe('CPUs 0-1,3, io weight 5000');
    expect(budgetText(budget, ['cpuset'])).toBe('no cpuset');
  });
});

const spec = (name: string, resources: Budget) => ({ name, resources }) as ServiceSpec;

describe('the sum', () => {
  test('holds what is wanted, what is still there, and a monitor for each', () => {
    const total = totalBudget(
      [spec('a', { ...budget, memoryMinBytes: MIB }), spec('b', budget)],
      new Map([
        ['b', { ...budget, pidsMax: 30 }],
        ['gone', { ...budget, swapMaxBytes: MIB }],
      ]),
    );
    expect(total).toEqual({
      memoryMaxBytes: 24 * MIB + 3 * MONITOR.memoryBytes,
      memoryMinBytes: MIB,
      swapMaxBytes: MIB,
      cpuMax: expect.closeTo(0.75 + 3 * MONITOR.cpuMax, 6),
      pidsMax: 50 + 3 * MONITOR.pidsMax,
    });
  });
});
