import { serviceOf } from '../instance-name.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { mountsOf } from './oci-mounts.ts';
import { processOf } from './oci-process.ts';
import { ociResources } from './oci-resources.ts';
import type { Hook, IdRange, PlacedDevice, Placement } from './placement.ts';
import { seccompOf } from './seccomp-profile.ts';

export type { Placement } from './placement.ts';

const MASKED = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
  '/sys/dev/block',
];
const READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** config.json of the bundle. OCI runtime-spec 1.0.2. */
export function ociSpec(spec: ServiceSpec, place: Placement): object {
  const seccomp = seccompOf(spec, process.arch);
  return {
    ociVersion: '1.0.2',
    annotations: { 'wherry.service': spec.name, 'wherry.spec': spec.digest },
    hostname: serviceOf(spec.name),
    root: { path: place.rootfs, readonly: spec.security.readOnlyRoot },
    process: processOf(spec, place.environment),
    mounts: mountsOf(spec, place),
    ...hooksOf(place.hooks),
    linux: {
      cgroupsPath: place.cgroupsPath,
      namespaces: namespacesOf(spec, place),
      ...idMappings(place),
      resources: { devices: deviceRules(place.devices), ...ociResources(spec.resources, place) },
      ...(seccomp && { seccomp }),
      maskedPaths: MASKED,
      readonlyPaths: READ_ONLY,
    },
  };
}

/** A hook that hangs must not hang the start for good. */
const HOOK_SECONDS = 30;

function hooksOf(hooks: readonly Hook[] = []): object {
  if (hooks.length === 0) return {};
  const byName: Record<string, object[]> = {};
  for (const { hookName, timeout = HOOK_SECONDS, ...hook } of hooks)
    (byName[hookName] ??= []).push({ ...hook, timeout });
  return { hooks: byName };
}

/** A new network namespace is empty: the runtime brings up nothing but the loopback. */
function namespacesOf(spec: ServiceSpec, { netns, ids }: Placement): object[] {
  const own = ['pid', 'mount', 'uts', 'ipc', 'cgroup', ...(ids === undefined ? [] : ['user'])];
  const network = { type: 'network', ...(netns !== undefined && { path: netns }) };
  return [...own.map((type) => ({ type })), ...(spec.network === 'host' ? [] : [network])];
}

function idMappings({ ids }: Placement): object {
  if (ids === undefined) return {};
  return {
    uidMappings: mappingsOf(ids, []),
    gidMappings: mappingsOf(
      ids,
      [...(ids.keptGids ?? [])].sort((a, b) => a - b),
    ),
  };
}

/** The range, with a hole of one id for each that is kept. */
function mappingsOf({ hostBase, size }: IdRange, kept: readonly number[]): object[] {
  const ends = [...kept, size];
  return ends.flatMap((end, index) => {
    const first = index === 0 ? 0 : (ends[index - 1] ?? 0) + 1;
    return [
      ...(end > first ? [{ containerID: first, hostID: hostBase + first, size: end - first }] : []),
      ...(end < size ? [{ containerID: end, hostID: end, size: 1 }] : []),
    ];
  });
}

/** Nothing but these; runtimes add null, zero and their like, which every program expects. */
const deviceRules = (devices: readonly PlacedDevice[] = []): object[] => [
  { allow: false, access: 'rwm' },
  ...devices.map(({ kind, major, minor, isWritable }) => ({
    allow: true,
    type: kind,
    major,
    minor,
    access: isWritable ? 'rw' : 'r',
  })),
];
