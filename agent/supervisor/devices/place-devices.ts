import { chownSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { IdRange, PlacedDevice, Placement } from '../runtime/placement.ts';
import { runProgram } from '../runtime/run-program.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { CDI_FOLDERS, type ContainerEdits, cdiEdits } from './cdi.ts';

type Brought = Pick<Placement, 'devices' | 'environment' | 'mounts' | 'hooks'>;
interface Wish {
  path: string;
  target: string;
  isWritable: boolean;
}

/**
 * Makes the device nodes of a service on a small tmpfs at `folder`, owned by the service's user, and says what of them
 * is bound. The machine's own nodes keep their owner. Throws with code wait.device for one that is not there.
 */
export async function placeDevices(
  spec: ServiceSpec,
  folder: string,
  ids: IdRange | undefined,
  cdiFolders: readonly string[] = CDI_FOLDERS,
): Promise<Brought> {
  if (!spec.devices?.length) return {};
  const edits = spec.devices.flatMap((device) =>
    device.kind === 'cdi' ? [cdiEdits(device.name, cdiFolders)] : [],
  );
  const nodes = spec.devices.flatMap((device) =>
    device.kind === 'node'
      ? [{ path: device.path, target: device.target, isWritable: device.access === 'rw' }]
      : [],
  );
  const wishes = [...nodes, ...edits.flatMap(nodesOf)];
  const found = wishes.map((wish) => ({ ...wish, ...look(spec.name, wish.path) }));
  const environment = edits.flatMap(({ env = [] }) => env);
  const rest = {
    environment,
    mounts: edits.flatMap(mountsOf),
    hooks: edits.flatMap(({ hooks = [] }) => hooks),
  };
  if (found.length === 0) return rest;
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  const options = 'nosuid,noexec,mode=711,size=64k';
  await runProgram('mount', ['-t', 'tmpfs', '-o', options, 'wherry-devices', folder]);
  const devices: PlacedDevice[] = [];
  const base = ids?.hostBase ?? 0;
  for (const [index, { target, isWritable, kind, major, minor }] of found.entries()) {
    const source = join(folder, String(index));
    const mode = isWritable ? '0600' : '0400';
    await runProgram('mknod', [`--mode=${mode}`, source, kind, String(major), String(minor)]);
    chownSync(source, base + spec.uid, base + spec.gid);
    devices.push({ source, target, isWritable, kind, major, minor });
  }
  return { devices, ...rest };
}

/** Where the mounts of the service's CDI devices go; what is not there is told by `placeDevices`. */
export function cdiMountPoints(
  spec: ServiceSpec,
  cdiFolders: readonly string[] = CDI_FOLDERS,
): { folders: string[]; files: string[] } {
  const points: { folders: string[]; files: string[] } = { folders: [], files: [] };
  for (const device of spec.devices ?? []) {
    const { mounts = [] } = device.kind === 'cdi' ? cdiEdits(device.name, cdiFolders) : {};
    for (const { hostPath, containerPath } of mounts) {
      const isFolder = statSync(hostPath, { throwIfNoEntry: false })?.isDirectory() ?? false;
      points[isFolder ? 'folders' : 'files'].push(containerPath);
    }
  }
  return points;
}

/** What the hooks of its CDI devices loosen, one short sentence each. */
export function cdiLoosenings(spec: ServiceSpec, cdiFolders: readonly string[] = CDI_FOLDERS): string[] {
  return (spec.devices ?? []).flatMap((device) => {
    if (device.kind !== 'cdi') return [];
    try {
      const { hooks = [] } = cdiEdits(device.name, cdiFolders);
      return hooks.map(
        ({ hookName, path }) => `has ${path} run as root at its ${hookName}, for ${device.name}`,
      );
    } catch {
      // Why it cannot be had is told at its start.
      return [];
    }
  });
}

const nodesOf = ({ deviceNodes = [] }: ContainerEdits): Wish[] =>
  deviceNodes.map(({ path, hostPath = path, permissions = 'rwm' }) => ({
    path: hostPath,
    target: path,
    isWritable: permissions.includes('w'),
  }));

/** CDI mounts are the vendor's libraries and programs: they may be run, never changed, unless the vendor says so. */
const mountsOf = ({ mounts = [] }: ContainerEdits) =>
  mounts.map(({ hostPath, containerPath, options = ['ro'] }) => ({
    source: hostPath,
    target: containerPath,
    options: ['nosuid', 'nodev', ...options.filter((option) => !/^(r?bind|suid|dev)$/.test(option))],
  }));

/** st_rdev as makedev(3) packs it. */
function look(service: string, path: string): Pick<PlacedDevice, 'kind' | 'major' | 'minor'> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !(stat.isCharacterDevice() || stat.isBlockDevice())) {
    const what = stat === undefined ? 'is not there' : 'is no device';
    const message = `Cannot start service "${service}": ${path} ${what}; connect it or load its driver`;
    throw Object.assign(new Error(message), { code: 'wait.device' });
  }
  const id = BigInt(stat.rdev);
  return {
    kind: stat.isBlockDevice() ? 'b' : 'c',
    major: Number(((id >> 8n) & 0xfffn) | ((id >> 32n) & 0xfffff000n)),
    minor: Number((id & 0xffn) | ((id >> 12n) & 0xffffff00n)),
  };
}
