import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Budget } from '../ports.ts';
import type { BlockDevice } from './block-device.ts';
import { readLine, readValue, setValue } from './cgroup-files.ts';
import { DEFAULT_WEIGHT, fromBfqWeight, ioMaxLine, ioOrNone, parseIoMax, toBfqWeight } from './io-limits.ts';

const PERIOD_USEC = 100_000;

/** What io budgets are held with. `weightFile`: the one that has an effect on this disk; undefined when none has. */
export interface V2Disk extends BlockDevice {
  weightFile: 'io.bfq.weight' | 'io.weight' | undefined;
}

/** Writes a whole budget into a cgroup v2 folder. What is absent is set back to what the kernel does unasked. */
export function writeV2(folder: string, budget: Budget, disk: V2Disk | undefined): void {
  writeV2Sums(folder, budget);
  setValue(folder, 'memory.high', budget.memoryHighBytes ?? 'max');
  setValue(folder, 'cpu.weight', budget.cpuWeight ?? DEFAULT_WEIGHT);
  if (budget.cpuset !== undefined || readValue(folder, 'cpuset.cpus'))
    setValue(folder, 'cpuset.cpus', budget.cpuset ?? '\n');
  if (disk !== undefined) writeIo(folder, budget.io, disk);
}

/** The part of a budget that adds up in the parent. */
export function writeV2Sums(folder: string, budget: Budget): void {
  setValue(folder, 'memory.max', budget.memoryMaxBytes);
  setValue(folder, 'memory.min', budget.memoryMinBytes ?? 0);
  // Kernels without swap lack the file.
  if (existsSync(join(folder, 'memory.swap.max')))
    setValue(folder, 'memory.swap.max', budget.swapMaxBytes ?? 0);
  setValue(folder, 'cpu.max', `${Math.round(budget.cpuMax * PERIOD_USEC)} ${PERIOD_USEC}`);
  setValue(folder, 'pids.max', budget.pidsMax);
}

function writeIo(folder: string, io: Budget['io'], { id, weightFile }: V2Disk): void {
  const line = ioMaxLine(id, io);
  const held = readLine(folder, 'io.max', id);
  if (ioMaxLine(id, parseIoMax(held ?? '')) !== line) setValue(folder, 'io.max', line);
  if (weightFile === undefined) return;
  const weight = io?.weight ?? DEFAULT_WEIGHT;
  const value = weightFile === 'io.bfq.weight' ? toBfqWeight(weight) : weight;
  if (weightIn(folder, weightFile) !== value) setValue(folder, weightFile, `default ${value}`);
}

/** Undefined when there is no such cgroup. What the kernel does unasked is absent. */
export function readV2(folder: string, disk: V2Disk | undefined): Budget | undefined {
  const memory = readValue(folder, 'memory.max');
  const cpu = readValue(folder, 'cpu.max');
  const pids = readValue(folder, 'pids.max');
  if (memory === undefined || cpu === undefined || pids === undefined) return undefined;
  const [quota = 'max', period = PERIOD_USEC] = cpu.split(' ');
  const high = limit(readValue(folder, 'memory.high') ?? 'max');
  const min = Number(readValue(folder, 'memory.min') ?? 0);
  const swap = readValue(folder, 'memory.swap.max');
  const weight = Number(readValue(folder, 'cpu.weight') ?? DEFAULT_WEIGHT);
  const cpuset = readValue(folder, 'cpuset.cpus');
  const io = disk && readIo(folder, disk);
  return {
    memoryMaxBytes: limit(memory),
    cpuMax: limit(quota) / Number(period),
    pidsMax: limit(pids),
    ...(high !== Infinity && { memoryHighBytes: high }),
    ...(min > 0 && { memoryMinBytes: min }),
    ...(swap !== undefined && { swapMaxBytes: limit(swap) }),
    ...(weight !== DEFAULT_WEIGHT && { cpuWeight: weight }),
    ...(cpuset && { cpuset }),
    ...(io && { io }),
  };
}

function readIo(folder: string, { id, weightFile }: V2Disk): Budget['io'] {
  const io = parseIoMax(readLine(folder, 'io.max', id) ?? '');
  const weight = weightFile && weightIn(folder, weightFile);
  if (weight !== undefined && weight !== DEFAULT_WEIGHT)
    io.weight = weightFile === 'io.bfq.weight' ? fromBfqWeight(weight) : weight;
  return ioOrNone(io);
}

const weightIn = (folder: string, file: string): number | undefined => {
  const text = readLine(folder, file, 'default');
  return text === undefined ? undefined : Number(text);
};

const limit = (text: string): number => (text === 'max' ? Infinity : Number(text));
