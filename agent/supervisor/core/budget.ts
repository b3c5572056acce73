import type { Budget } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';

/** Largest page size of a supported kernel; the kernel rounds memory limits down to whole pages. */
const PAGE_BYTES = 64 * 1024;
/** cpu.max holds whole microseconds of a 100 ms period. */
const CPU_STEP = 0.00002;

/** Whether what the kernel holds is what was asked, but for the kernel's own rounding. */
export const holdsBudget = (wanted: Budget, held: Budget): boolean =>
  held.memoryMaxBytes <= wanted.memoryMaxBytes &&
  wanted.memoryMaxBytes - held.memoryMaxBytes < PAGE_BYTES &&
  Math.abs(held.cpuMax - wanted.cpuMax) <= CPU_STEP &&
  held.pidsMax === wanted.pidsMax;

/** "64 MiB, 0.5 cores, 32 pids", for messages. */
export const budgetText = (budget: Budget): string =>
  `${(budget.memoryMaxBytes / 1024 ** 2).toFixed(1)} MiB, ${budget.cpuMax} cores, ${budget.pidsMax} pids`;

/** What the parent must hold: everything wanted, and what is still there of what is not. */
export function totalBudget(desired: readonly ServiceSpec[], present: ReadonlyMap<string, Budget>): Budget {
  const all = new Map(present);
  for (const { name, resources } of desired) {
    const held = present.get(name) ?? resources;
    all.set(name, {
      memoryMaxBytes: Math.max(held.memoryMaxBytes, resources.memoryMaxBytes),
      cpuMax: Math.max(held.cpuMax, resources.cpuMax),
      pidsMax: Math.max(held.pidsMax, resources.pidsMax),
    });
  }
  const total = { memoryMaxBytes: 0, cpuMax: 0, pidsMax: 0 };
  for (const budget of all.values()) {
    total.memoryMaxBytes += budget.memoryMaxBytes;
    total.cpuMax += budget.cpuMax;
    total.pidsMax += budget.pidsMax;
  }
  return total;
}
