import { MONITOR_BYTES } from '../../../protocol/admission.ts';
import type { Degradation } from '../../../protocol/status.ts';
import type { Budget } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';

/** Largest page size of a supported kernel; the kernel rounds memory limits down to whole pages. */
const PAGE_BYTES = 64 * 1024;
/** cpu.max holds whole microseconds of a 100 ms period. */
const CPU_STEP = 0.00002;
/** bfq knows 1000 weights where a budget has 10000. */
const WEIGHT_STEP = 6;
const DEFAULT_WEIGHT = 100;

/** What a service's monitor may use, beside the service. `memoryBytes` is what it is admitted with. */
export const MONITOR = { memoryBytes: MONITOR_BYTES, cpuMax: 0.1, pidsMax: 8 };

interface Part {
  name: string;
  of(budget: Budget): number | string | undefined;
  /** Whether the kernel holds what was asked, but for its own rounding. Either may be absent. */
  agrees(wanted: number | string | undefined, held: number | string | undefined): boolean;
  text(value: number | string): string;
}

type Numbers = (wanted: number, held: number) => boolean;

const pages: Numbers = (wanted, held) => held === wanted || (held <= wanted && wanted - held < PAGE_BYTES);
const near =
  (step: number): Numbers =>
  (wanted, held) =>
    held === wanted || Math.abs(held - wanted) <= step;
const weights: Numbers = (wanted, held) => near(wanted > DEFAULT_WEIGHT ? WEIGHT_STEP : 0)(wanted, held);

/** `absent`: what the kernel does when nobody asks. */
const numbers =
  (absent: number, same: Numbers): Part['agrees'] =>
  (wanted, held) =>
    same(Number(wanted ?? absent), Number(held ?? absent));

const mib = (value: number | string): string => `${(Number(value) / 1024 ** 2).toFixed(1)} MiB`;
const rate = (field: 'readBps' | 'writeBps' | 'readIops' | 'writeIops', words: string): Part => ({
  name: `io.${field}`,
  of: ({ io }) => io?.[field],
  agrees: numbers(Infinity, near(0)),
  text: (value) => `${value} ${words}`,
});

const PARTS: readonly Part[] = [
  { name: 'memoryMaxBytes', of: (b) => b.memoryMaxBytes, agrees: numbers(Infinity, pages), text: mib },
  {
    name: 'cpuMax',
    of: (b) => b.cpuMax,
    agrees: numbers(Infinity, near(CPU_STEP)),
    text: (v) => `${v} cores`,
  },
  { name: 'pidsMax', of: (b) => b.pidsMax, agrees: numbers(Infinity, near(0)), text: (v) => `${v} pids` },
  {
    name: 'memoryHighBytes',
    of: (b) => b.memoryHighBytes,
    agrees: numbers(Infinity, pages),
    text: (v) => `memory high ${mib(v)}`,
  },
  {
    name: 'memoryMinBytes',
    of: (b) => b.memoryMinBytes,
    agrees: numbers(0, pages),
    text: (v) => `memory min ${mib(v)}`,
  },
  {
    name: 'swapMaxBytes',
    of: (b) => b.swapMaxBytes,
    // Not told by a kernel that cannot account swap: then there is none, or the field is degraded.
    agrees: (wanted, held) => held === undefined || numbers(0, pages)(wanted, held),
    text: (v) => `swap ${mib(v)}`,
  },
  {
    name: 'cpuWeight',
    of: (b) => b.cpuWeight,
    agrees: numbers(DEFAULT_WEIGHT, near(0)),
    text: (v) => `cpu weight ${v}`,
  },
  {
    name: 'cpuset',
    of: (b) => b.cpuset,
    // cgroup v1 has no "not asked for": it lists the CPUs of the board.
    agrees: (wanted, held) =>
      wanted === undefined || (held !== undefined && cpusOf(`${wanted}`) === cpusOf(`${held}`)),
    text: (v) => `CPUs ${v}`,
  },
  {
    name: 'io.weight',
    of: ({ io }) => io?.weight,
    agrees: numbers(DEFAULT_WEIGHT, weights),
    text: (v) => `io weight ${v}`,
  },
  rate('readBps', 'B/s read'),
  rate('writeBps', 'B/s written'),
  rate('readIops', 'reads/s'),
  rate('writeIops', 'writes/s'),
];

/**
 * What of a budget the kernel does not hold, by its name in the budget. What is degraded and not read back is left
 * out; what is degraded but held in part is compared.
 */
export const budgetDrift = (wanted: Budget, held: Budget, degraded: readonly Degradation[] = []): string[] =>
  PARTS.filter(({ name, of, agrees }) => {
    const isGone = of(held) === undefined && degraded.some(({ what }) => what === name);
    return !isGone && !agrees(of(wanted), of(held));
  }).map(({ name }) => name);

/** Whether what the kernel holds is what was asked, but for the kernel's own rounding and what is degraded. */
export const holdsBudget = (wanted: Budget, held: Budget, degraded: readonly Degradation[] = []): boolean =>
  budgetDrift(wanted, held, degraded).length === 0;

/** "64.0 MiB, 0.5 cores, 32 pids", for messages: all that is set, or the named parts only. */
export const budgetText = (budget: Budget, names?: readonly string[]): string =>
  PARTS.filter(({ name }) => names?.includes(name) ?? true)
    .flatMap(({ name, of, text }) => {
      const value = of(budget);
      if (value === undefined) return names === undefined ? [] : [`no ${name}`];
      return names === undefined && name === 'swapMaxBytes' && value === 0 ? [] : [text(value)];
    })
    .join(', ');

/** "0-1,3" and "3,0,1" are the same CPUs. */
function cpusOf(list: string): string {
  const cpus = new Set<number>();
  for (const range of list.split(',')) {
    const [first = '', last = first] = range.split('-');
    for (let cpu = Number(first); cpu <= Number(last); cpu++) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b).join(',');
}

/** What the parent must hold: everything wanted, what is still there of what is not, and the monitors of both. */
export function totalBudget(desired: readonly ServiceSpec[], present: ReadonlyMap<string, Budget>): Budget {
  const all = new Map([...present].map(([name, budget]) => [name, sums(budget)]));
  for (const { name, resources } of desired) {
    const held = all.get(name) ?? sums(resources);
    all.set(name, combine(held, sums(resources), Math.max));
  }
  const share = sums({
    memoryMaxBytes: MONITOR.memoryBytes,
    cpuMax: MONITOR.cpuMax,
    pidsMax: MONITOR.pidsMax,
  });
  return [...all.values()].reduce(
    (total, budget) => combine(total, combine(budget, share, add), add),
    sums({ memoryMaxBytes: 0, cpuMax: 0, pidsMax: 0 }),
  );
}

const add = (a: number, b: number): number => a + b;

type Sums = ReturnType<typeof sums>;

/** The parts of a budget that add up. */
const sums = ({ memoryMaxBytes, memoryMinBytes = 0, swapMaxBytes = 0, cpuMax, pidsMax }: Budget) => ({
  memoryMaxBytes,
  memoryMinBytes,
  swapMaxBytes,
  cpuMax,
  pidsMax,
});

const combine = (a: Sums, b: Sums, by: (a: number, b: number) => number): Sums => ({
  memoryMaxBytes: by(a.memoryMaxBytes, b.memoryMaxBytes),
  memoryMinBytes: by(a.memoryMinBytes, b.memoryMinBytes),
  swapMaxBytes: by(a.swapMaxBytes, b.swapMaxBytes),
  cpuMax: by(a.cpuMax, b.cpuMax),
  pidsMax: by(a.pidsMax, b.pidsMax),
});
