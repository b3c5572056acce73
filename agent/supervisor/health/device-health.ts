import { readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceHealth } from '../../../protocol/status.ts';
import { parsePressure } from '../cgroup/pressure.ts';
import { namesIn, readText } from './small-file.ts';

export interface HealthRoots {
  /** A folder on the filesystem that holds the agent's state. */
  stateDir: string;
  proc?: string;
  sys?: string;
}

/** How the device is at this moment, from files only; what needs a memory of its own is in DeviceFacts. */
export function deviceHealth({ stateDir, proc = '/proc', sys = '/sys' }: HealthRoots): DeviceHealth {
  const memory = readFileSync(join(proc, 'meminfo'), 'utf8');
  const disk = statfsSync(stateDir);
  const temperatureCelsius = hottest(join(sys, 'class/thermal'));
  const pressure = (of: string) => parsePressure(readText(join(proc, 'pressure', of)) ?? '');
  const [memoryPressure, ioPressure, cpuPressure] = [pressure('memory'), pressure('io'), pressure('cpu')];
  return {
    uptimeMs: Math.round(Number(firstWord(join(proc, 'uptime'))) * 1000),
    load1: Number(firstWord(join(proc, 'loadavg'))),
    memoryTotalBytes: kibibytes(memory, 'MemTotal'),
    memoryAvailableBytes: kibibytes(memory, 'MemAvailable'),
    diskTotalBytes: disk.blocks * disk.bsize,
    diskFreeBytes: disk.bavail * disk.bsize,
    agentRssBytes: kibibytes(readFileSync(join(proc, 'self/status'), 'utf8'), 'VmRSS'),
    ...(temperatureCelsius !== undefined && { temperatureCelsius }),
    ...(memoryPressure && { memoryPressure }),
    ...(ioPressure && { ioPressure }),
    ...(cpuPressure && { cpuPressure }),
  };
}

const firstWord = (path: string): string => readFileSync(path, 'utf8').split(' ')[0] ?? '';

/** Value of a "Name:   123 kB" line in bytes; proc(5) calls KiB kB. */
function kibibytes(text: string, name: string): number {
  const value = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
  return value === undefined ? 0 : Number(value) * 1024;
}

/** Hottest thermal zone; a zone may refuse to be read while its sensor is off. */
function hottest(folder: string): number | undefined {
  const temperatures = namesIn(folder)
    .filter((name) => name.startsWith('thermal_zone'))
    .flatMap((zone) => readText(join(folder, zone, 'temp')) ?? [])
    .map((text) => Number(text) / 1000);
  return temperatures.length === 0 ? undefined : Math.max(...temperatures);
}
