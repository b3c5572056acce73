import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupTree, ChannelCgroups } from '../ports.ts';
import { blockDeviceOf } from './block-device.ts';
import { CgroupV1, type V1Mounts } from './cgroup-v1.ts';
import { CgroupV2 } from './cgroup-v2.ts';
import { channelCgroupsV1, channelCgroupsV2 } from './channel-cgroups.ts';

const NEEDED = ['memory', 'cpu', 'pids'];

export type CgroupLayout =
  | { version: 1; mounts: V1Mounts }
  | { version: 2; root: string }
  | { version: undefined; missing: string[] };

/**
 * Which cgroups can hold budgets here. `mountinfo` is the text of /proc/self/mountinfo; `controllersOf` gives the
 * controllers that a cgroup2 mount offers.
 */
export function cgroupLayout(mountinfo: string, controllersOf: (root: string) => string[]): CgroupLayout {
  const mounts: Record<string, string> = {};
  let v2: { root: string; controllers: string[] } | undefined;
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const root = before.split(' ')[4] ?? '';
    const [type, , options = ''] = after.split(' ');
    if (type === 'cgroup2') v2 = { root, controllers: controllersOf(root) };
    if (type !== 'cgroup') continue;
    for (const option of options.split(',')) if (!['rw', 'ro'].includes(option)) mounts[option] ??= root;
  }
  const offered = v2?.controllers ?? [];
  if (v2 !== undefined && NEEDED.every((name) => offered.includes(name)))
    return { version: 2, root: v2.root };
  if (NEEDED.every((name) => mounts[name] !== undefined)) {
    // runc puts its containers into a cgroup2 hierarchy beside the controllers, too.
    return { version: 1, mounts: v2 === undefined ? mounts : { ...mounts, unified: v2.root } };
  }
  return {
    version: undefined,
    missing: NEEDED.filter((name) => mounts[name] === undefined && !offered.includes(name)),
  };
}

const controllersOf = (root: string): string[] => {
  const path = join(root, 'cgroup.controllers');
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split(' ') : [];
};

const detected = (): CgroupLayout =>
  cgroupLayout(readFileSync('/proc/self/mountinfo', 'utf8'), controllersOf);

/**
 * The cgroups of this machine. Throws with what to do when budgets could not be held. `stateDir`: the folder of the
 * agent's state, whose disk io budgets are for; without it they are reported as degraded.
 */
export function openCgroups(instance: string, stateDir?: string): CgroupTree {
  const layout = detected();
  const disk = stateDir === undefined ? undefined : blockDeviceOf(stateDir);
  if (layout.version === 1) return new CgroupV1(layout.mounts, instance, disk);
  if (layout.version === 2) return new CgroupV2(layout.root, instance, disk);
  throw new Error(missingText(layout.missing));
}

/** Of the same subtree; throws alike. */
export function openChannelCgroups(instance: string): ChannelCgroups {
  const layout = detected();
  if (layout.version === 1) return channelCgroupsV1(layout.mounts['memory'] ?? '', instance);
  if (layout.version === 2) return channelCgroupsV2(layout.root, instance);
  throw new Error(missingText(layout.missing));
}

export const missingText = (missing: readonly string[]): string =>
  `Cannot hold services to budgets: the kernel offers no cgroup controller for ${missing.join(', ')}; ` +
  (missing.includes('memory')
    ? 'add "cgroup_enable=memory" to the kernel command line (Raspberry Pi: /boot/firmware/cmdline.txt) and reboot'
    : 'mount cgroup2 at /sys/fs/cgroup, or enable them in the kernel');

/** Whether the kernel can bound memory and swap together. */
export function hasSwapAccounting(): boolean {
  const layout = detected();
  if (layout.version === 1)
    return existsSync(join(layout.mounts['memory'] ?? '', 'memory.memsw.limit_in_bytes'));
  return layout.version === 2 && existsSync('/proc/swaps');
}
