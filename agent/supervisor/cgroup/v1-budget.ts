import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Budget } from '../ports.ts';
import type { BlockDevice } from './block-device.ts';
import { makeFolder, readLine, readValue, setValue, writeValue } from './cgroup-files.ts';
import { DEFAULT_WEIGHT, fromBfqWeight, IO_RATES, ioOrNone, toBfqWeight } from './io-limits.ts';

const PERIOD_USEC = 100_000;
/** cpu.shares that weigh as much as cpu.weight 100. */
const DEFAULT_SHARES = 1024;
/** From here on a limit of cgroup v1 is none: the largest page counter, whatever the page size. */
const UNLIMITED = 2 ** 62;
const BFQ_WEIGHT = 'blkio.bfq.weight';

/** A service's folder in each hierarchy; undefined where the kernel lacks the controller. */
export interface V1Folders {
  memory: string;
  cpu: string;
  pids: string;
  cpuset: string | undefined;
  blkio: string | undefined;
}

/** Writes a whole budget. What is absent is set back to what the kernel does unasked. */
export function writeV1(folders: V1Folders, budget: Budget, disk: BlockDevice | undefined): void {
  writeV1Sums(folders, budget);
  setValue(folders.cpu, 'cpu.shares', sharesOf(budget.cpuWeight ?? DEFAULT_WEIGHT));
  if (folders.cpuset !== undefined) {
    inheritCpuset(folders.cpuset);
    const all = readValue(dirname(folders.cpuset), 'cpuset.cpus') ?? '';
    setValue(folders.cpuset, 'cpuset.cpus', budget.cpuset ?? all);
  }
  if (folders.blkio === undefined || disk === undefined) return;
  makeFolder(folders.blkio);
  for (const { field, v1 } of IO_RATES) {
    const wanted = budget.io?.[field] ?? 0;
    const held = Number(readLine(folders.blkio, v1, disk.id) ?? 0);
    if (held !== wanted) writeValue(folders.blkio, v1, `${disk.id} ${wanted}`);
  }
  if (hasBfqWeight(folders.blkio, disk))
    setValue(folders.blkio, BFQ_WEIGHT, toBfqWeight(budget.io?.weight ?? DEFAULT_WEIGHT));
}

/** The part of a budget that adds up in the parent. */
export function writeV1Sums({ memory, cpu, pids }: V1Folders, budget: Budget): void {
  writeMemory(memory, budget.memoryMaxBytes, budget.swapMaxBytes ?? 0);
  writeV1Quota(cpu, budget.cpuMax);
  setValue(pids, 'pids.max', budget.pidsMax);
}

export function writeV1Quota(cpu: string, cores: number): void {
  setValue(cpu, 'cpu.cfs_period_us', PERIOD_USEC);
  setValue(cpu, 'cpu.cfs_quota_us', Math.round(cores * PERIOD_USEC));
}

/** Undefined when there is no such cgroup. What the kernel does unasked is absent. */
export function readV1(folders: V1Folders, disk: BlockDevice | undefined): Budget | undefined {
  const memory = readValue(folders.memory, 'memory.limit_in_bytes');
  const quota = readValue(folders.cpu, 'cpu.cfs_quota_us');
  const period = readValue(folders.cpu, 'cpu.cfs_period_us');
  const pids = readValue(folders.pids, 'pids.max');
  if (memory === undefined || quota === undefined || period === undefined || pids === undefined)
    return undefined;
  const sum = readValue(folders.memory, 'memory.memsw.limit_in_bytes');
  const weight = weightOf(Number(readValue(folders.cpu, 'cpu.shares') ?? DEFAULT_SHARES));
  const cpuset = folders.cpuset && readValue(folders.cpuset, 'cpuset.cpus');
  const io = folders.blkio && disk && readIo(folders.blkio, disk);
  return {
    memoryMaxBytes: limit(memory),
    cpuMax: Number(quota) < 0 ? Infinity : Number(quota) / Number(period),
    pidsMax: pids === 'max' ? Infinity : Number(pids),
    ...(sum !== undefined && { swapMaxBytes: swapOf(limit(sum), limit(memory)) }),
    ...(weight !== DEFAULT_WEIGHT && { cpuWeight: weight }),
    ...(cpuset && { cpuset }),
    ...(io && { io }),
  };
}

/** A cpuset takes no process before it has CPUs and memory nodes, and a fresh one has neither. */
export function inheritCpuset(folder: string): void {
  if (readValue(folder, 'cpuset.cpus') && readValue(folder, 'cpuset.mems')) return;
  const parent = dirname(folder);
  if (!readValue(parent, 'cpuset.cpus') || !readValue(parent, 'cpuset.mems')) inheritCpuset(parent);
  makeFolder(folder);
  for (const file of ['cpuset.cpus', 'cpuset.mems'])
    if (!readValue(folder, file)) writeValue(folder, file, readValue(parent, file) ?? '');
}

/** The weight has an effect only while bfq schedules the disk. */
export const hasBfqWeight = (blkio: string, disk: BlockDevice): boolean =>
  disk.scheduler === 'bfq' && existsSync(join(blkio, BFQ_WEIGHT));

/** The kernel demands memory ≤ memory + swap at each moment: which comes first depends on the direction. */
function writeMemory(folder: string, bytes: number, swapBytes: number): void {
  const sum = readValue(folder, 'memory.memsw.limit_in_bytes');
  const writes: [string, number][] = [['memory.limit_in_bytes', bytes]];
  if (sum !== undefined) writes.push(['memory.memsw.limit_in_bytes', bytes + swapBytes]);
  if (sum !== undefined && Number(sum) < bytes) writes.reverse();
  for (const [file, value] of writes) setValue(folder, file, value);
}

function readIo(folder: string, disk: BlockDevice): Budget['io'] {
  const io: NonNullable<Budget['io']> = {};
  for (const { field, v1 } of IO_RATES) {
    const held = Number(readLine(folder, v1, disk.id) ?? 0);
    if (held > 0) io[field] = held;
  }
  const weight = hasBfqWeight(folder, disk) ? Number(readValue(folder, BFQ_WEIGHT)) : DEFAULT_WEIGHT;
  if (weight !== DEFAULT_WEIGHT) io.weight = fromBfqWeight(weight);
  return ioOrNone(io);
}

const limit = (text: string): number => (Number(text) >= UNLIMITED ? Infinity : Number(text));
const swapOf = (sum: number, memory: number): number =>
  sum === Infinity ? Infinity : Math.max(0, sum - memory);
const sharesOf = (weight: number): number =>
  Math.max(2, Math.round((weight * DEFAULT_SHARES) / DEFAULT_WEIGHT));
const weightOf = (shares: number): number => Math.round((shares * DEFAULT_WEIGHT) / DEFAULT_SHARES);
