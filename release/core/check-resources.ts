import type { Board } from '../../protocol/board.ts';
import { parseBitRate, parseBytes } from '../../protocol/quantities.ts';
import type { ReleaseSource } from '../../protocol/release-source.ts';
import type { SourceService } from './resolve.ts';

const MIN_MEMORY_BYTES = 1024 * 1024;
const MIN_DISK_BYTES = 4096;
const MIN_LOG_BYTES = 64 * 1024;
const MIN_LOG_RATE_BYTES = 1024;
const MIN_BITS_A_SECOND = 8000;

type Resources = SourceService['resources'];

export function volumeFaults(volumes: NonNullable<ReleaseSource['volumes']>): string[] {
  return Object.entries(volumes).flatMap(([name, { size }]) =>
    tooSmall(`volumes.${name}.size`, size, MIN_DISK_BYTES, '4KiB'),
  );
}

/** `boards`: those that the release is for and that are known. */
export function resourceFaults(at: string, service: SourceService, boards: readonly Board[]): string[] {
  const here = `${at}.resources`;
  const { resources } = service;
  return [
    ...memoryFaults(`${here}.memory`, resources.memory),
    ...cpusetFaults(`${here}.cpu.cpuset`, resources.cpu.cpuset, boards),
    ...diskFaults(`${here}.disk`, service),
    ...rateFaults(here, resources),
  ];
}

function memoryFaults(at: string, { max, high, min }: Resources['memory']): string[] {
  const limit = parseBytes(max) ?? 0;
  return [
    ...tooSmall(`${at}.max`, max, MIN_MEMORY_BYTES, '1MiB'),
    ...tooSmall(`${at}.high`, high, MIN_MEMORY_BYTES, '1MiB'),
    ...[['high', high] as const, ['min', min] as const].flatMap(([key, text]) =>
      text !== undefined && (parseBytes(text) ?? 0) > limit
        ? [`${at}.${key} is ${text}; wanted at most max, ${max}`]
        : [],
    ),
  ];
}

function cpusetFaults(at: string, cpuset: string | undefined, boards: readonly Board[]): string[] {
  if (cpuset === undefined) return [];
  const ranges = cpuset.split(',').map((range) => range.split('-').map(Number));
  const turned = ranges.find(([first = 0, last = first]) => last < first);
  if (turned)
    return [`${at} is ${cpuset}; wanted ranges from low to high, such as ${turned[1]}-${turned[0]}`];
  const highest = Math.max(...ranges.flat());
  const lacking = boards
    .filter(({ cpus }) => highest >= cpus)
    .map(({ name, cpus }) => `${name} (0-${cpus - 1})`);
  return lacking.length > 0
    ? [`${at} is ${cpuset}, but there is no CPU ${highest} on ${lacking.join(', ')}; name fewer CPUs`]
    : [];
}

function diskFaults(at: string, { resources, security }: SourceService): string[] {
  const { disk } = resources;
  if (!disk) return [];
  const isReadOnly = security?.readOnlyRoot ?? true;
  const inMemory = disk.backing === 'disk' ? [] : [['writable', disk.writable] as const];
  const faults = (['writable', 'tmp', 'shm'] as const).flatMap((key) =>
    tooSmall(`${at}.${key}`, disk[key], MIN_DISK_BYTES, '4KiB'),
  );
  if (disk.writable !== undefined && isReadOnly)
    faults.push(`${at}.writable: the root is read-only; set security.readOnlyRoot: false, or remove it`);
  if (disk.backing !== undefined && disk.writable === undefined)
    faults.push(`${at}.backing: there is no writable layer; set writable, or remove it`);
  for (const [key, text] of [...inMemory, ['tmp', disk.tmp] as const, ['shm', disk.shm] as const])
    if (text !== undefined && (parseBytes(text) ?? 0) > (parseBytes(resources.memory.max) ?? 0))
      faults.push(
        `${at}.${key} is ${text}, but lies in the service's memory; wanted at most ${resources.memory.max}`,
      );
  return faults;
}

function rateFaults(at: string, { io, network, logs }: Resources): string[] {
  return [
    ...tooSmall(`${at}.io.read`, io?.read, 1, '1B'),
    ...tooSmall(`${at}.io.write`, io?.write, 1, '1B'),
    ...tooSmall(`${at}.logs.size`, logs?.size, MIN_LOG_BYTES, '64KiB'),
    ...tooSmall(`${at}.logs.rate`, logs?.rate, MIN_LOG_RATE_BYTES, '1KiB'),
    ...(['ingress', 'egress'] as const).flatMap((key) => {
      const text = network?.[key];
      return text !== undefined && (parseBitRate(text) ?? 0) < MIN_BITS_A_SECOND
        ? [`${at}.network.${key} is ${text}; wanted 8kbit or more`]
        : [];
    }),
  ];
}

const tooSmall = (at: string, text: string | undefined, least: number, leastText: string): string[] =>
  text !== undefined && (parseBytes(text) ?? 0) < least
    ? [`${at} is ${text}; wanted ${leastText} or more`]
    : [];
