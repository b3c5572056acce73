import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const EMPTY_MS = 5_000;

export function readValue(folder: string, file: string): string | undefined {
  try {
    return readFileSync(join(folder, file), 'utf8').trim();
  } catch (error) {
    // ENODEV: the cgroup was removed between open and read.
    if (['ENOENT', 'ENODEV'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

export function writeValue(folder: string, file: string, value: string | number): void {
  try {
    writeFileSync(join(folder, file), String(value));
  } catch (error) {
    const why = (error as Error).message;
    throw new Error(`Cannot write ${value} to ${join(folder, file)}: ${why}`, { cause: error });
  }
}

/** Writes unless the kernel holds it already: a write to a cpuset stops every CPU for a moment. */
export function setValue(folder: string, file: string, value: string | number): void {
  if (readValue(folder, file) !== String(value)) writeValue(folder, file, value);
}

/** Lines "<key> <number>" by their key; empty when the file is not there. */
export function readKeys(folder: string, file: string): Record<string, number> {
  const lines = (readValue(folder, file) ?? '').split('\n').map((line) => line.split(' '));
  return Object.fromEntries(lines.map(([key = '', value]) => [key, Number(value)]));
}

/** What follows "<key> " on its line; undefined when there is no such line. */
export function readLine(folder: string, file: string, key: string): string | undefined {
  const lines = (readValue(folder, file) ?? '').split('\n');
  return lines.find((line) => line.startsWith(`${key} `))?.slice(key.length + 1);
}

export function makeFolder(folder: string): void {
  mkdirSync(folder, { recursive: true });
}

/** Moves a process into a cgroup; one that has ended is not an error. */
export function addProcess(folder: string, pid: number): void {
  try {
    writeValue(folder, 'cgroup.procs', pid);
  } catch (error) {
    if (((error as Error).cause as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Whether anything can be swapped out on this machine; the first line of /proc/swaps is its heading. */
export const machineSwaps = (): boolean =>
  (readValue('/proc', 'swaps') ?? '').split('\n').filter((line) => line !== '').length > 1;

/** Removes a cgroup and those below it, deepest first. Fails with EBUSY while a process is in one. */
export function removeTree(folder: string): void {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(folder, entry.name));
  }
  rmdirSync(folder);
}

/** Pids in a cgroup and those below it. */
export function pidsIn(folder: string): number[] {
  if (!existsSync(folder)) return [];
  const below = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const own = (readValue(folder, 'cgroup.procs') ?? '').split('\n').filter((line) => line !== '');
  return [...own.map(Number), ...below.flatMap(({ name }) => pidsIn(join(folder, name)))];
}

/** Kills all in a cgroup and waits until it is empty and can be removed. */
export async function killAndRemove(folder: string): Promise<void> {
  const deadline = Date.now() + EMPTY_MS;
  for (;;) {
    const pids = pidsIn(folder);
    for (const pid of pids) killQuietly(pid);
    try {
      if (pids.length === 0) return removeTree(folder);
    } catch (error) {
      // A process that has left cgroup.procs may hold the cgroup for a moment longer.
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
    }
    if (Date.now() > deadline) {
      throw new Error(`Cannot remove cgroup ${folder}: it does not get empty; processes ${pids.join(', ')}`);
    }
    await pause(5);
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}
