import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ReleaseError } from '../../release/errors.ts';
import type { DeviceFacts, DeviceUse } from './core/refusal.ts';

const BLOCK = '/sys/class/block';
const SECTOR = 512;

/** What the kernel knows of a block device, by sysfs(5) and proc(5). */
export function deviceFacts(path: string): DeviceFacts {
  const name = nameOf(path);
  const folder = realpathSync(join(BLOCK, name));
  return {
    name,
    kind: existsSync(join(folder, 'partition')) ? 'partition' : 'disk',
    bytes: Number(attribute(folder, 'size')) * SECTOR,
    isReadOnly: attribute(folder, 'ro') === '1',
    uses: usesOf(name, folder),
  };
}

function nameOf(path: string): string {
  const real = existsSync(path) ? realpathSync(path) : undefined;
  if (real === undefined || !statSync(real).isBlockDevice())
    throw new ReleaseError(
      'device',
      `Cannot write to ${path}: it is ${real === undefined ? 'not there' : 'no block device'}; wanted a disk such as /dev/sdb`,
    );
  return basename(real);
}

function usesOf(name: string, folder: string): DeviceUse[] {
  const partitions = readdirSync(folder).filter((entry) => existsSync(join(folder, entry, 'partition')));
  const mounts = mountPoints();
  const swaps = readFileSync('/proc/swaps', 'utf8');
  return [name, ...partitions].flatMap((each) => usesOfOne(each, mounts, swaps));
}

/** Of a device itself, then of what is stacked on it: LUKS, LVM, RAID. */
function usesOfOne(name: string, mounts: Map<string, string[]>, swaps: string): DeviceUse[] {
  const folder = join(BLOCK, name);
  const points = mounts.get(attribute(folder, 'dev')) ?? [];
  const stacked = join(folder, 'holders');
  const holders = existsSync(stacked) ? readdirSync(stacked) : [];
  return [
    ...points.map((where): DeviceUse => ({ name, how: 'mounted', where })),
    ...(swaps.split('\n').some((line) => line.startsWith(`/dev/${name} `))
      ? [{ name, how: 'swap', where: '' } as const]
      : []),
    ...holders.flatMap((where): DeviceUse[] => [
      ...usesOfOne(where, mounts, swaps),
      { name, how: 'held', where },
    ]),
  ];
}

/** Mount points by "major:minor". */
function mountPoints(): Map<string, string[]> {
  const points = new Map<string, string[]>();
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [, , device = '', , point = ''] = line.split(' ');
    points.set(device, [...(points.get(device) ?? []), point]);
  }
  return points;
}

const attribute = (folder: string, name: string): string => readFileSync(join(folder, name), 'utf8').trim();
