import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hostUserOf, placementOf } from '../../agent/open-machine.ts';
import { hasSwapAccounting, openCgroups, openChannelCgroups } from '../../agent/supervisor/cgroup/detect.ts';
import { SharedMemoryChannels } from '../../agent/supervisor/channels/shared-memory.ts';
import { FakeNetworks } from '../../agent/supervisor/fake-networks.ts';
import { ErofsRootfs } from '../../agent/supervisor/images/erofs-rootfs.ts';
import { KernelNetworks } from '../../agent/supervisor/network/kernel-networks.ts';
import type { Clock, DeviceStrain, HealthProbe, ServiceMemory } from '../../agent/supervisor/ports.ts';
import { ConmonRuntime } from '../../agent/supervisor/runtime/conmon.ts';
import { openIsolation } from '../../agent/supervisor/runtime/isolation.ts';
import { Supervisor } from '../../agent/supervisor/supervisor.ts';
import { systemClock } from '../../agent/system-clock.ts';

/** A memory in one JSON file: enough for a test, and it outlives the process. */
export function fileMemory(path: string): ServiceMemory {
  const load = (): Record<string, string> =>
    existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>) : {};
  const store = (all: Record<string, string>): void => writeFileSync(path, JSON.stringify(all));
  return {
    load,
    save: (service, record) => store({ ...load(), [service]: record }),
    forget: (service) =>
      store(Object.fromEntries(Object.entries(load()).filter(([name]) => name !== service))),
  };
}

export interface RealSupervisorOptions {
  /** With user ids of its own for each service, and real networks. */
  isWhole?: boolean;
  /** How the device is, if the test does not just write into `strain`. */
  readStrain?: () => DeviceStrain;
  clock?: Clock;
  /** What the supervisor gets in place of a port. */
  through?: <T extends object>(name: string, port: T) => T;
}

/** A supervisor over the real runtime, cgroups and mounts, all below `dir` and `/wherry-<instance>`. */
export function realSupervisor(
  dir: string,
  instance: string,
  blobDir: string,
  options: RealSupervisorOptions = {},
) {
  const { isWhole = false, clock = systemClock, through = (_name, port) => port } = options;
  const runDir = join(dir, 'run');
  mkdirSync(runDir, { recursive: true });
  const cgroups = through('cgroups', openCgroups(instance));
  const blobPath = (verity: string): string => join(blobDir, `${verity}.erofs`);
  const isolation = isWhole
    ? through('isolation', openIsolation({ stateDir: join(dir, 'state'), runDir, blobPath }))
    : undefined;
  const rootfs = through(
    'rootfs',
    isolation?.rootfs ?? new ErofsRootfs({ runDir, blobPath, stateDir: join(dir, 'state') }),
  );
  const runtime = new ConmonRuntime({
    runtime: 'crun',
    instance,
    runDir,
    logsDir: join(dir, 'logs'),
    logMaxBytes: 1 << 20,
    cgroupsPath: (service) => cgroups.pathOf(service),
    volumePath: (volume) => rootfs.volumePath(volume),
    hasSwapAccounting: hasSwapAccounting(),
    beforeStart: through('pump', { begin: async () => undefined }).begin,
    holdMonitor: (service, pid) => cgroups.holdMonitor(service, pid),
    ...(isolation && { placementOf: (spec) => placementOf(isolation, runDir, spec) }),
  });
  const events: { code: string; service?: string | undefined }[] = [];
  const strain: DeviceStrain = {};
  const networks = through(
    'networks',
    isWhole ? new KernelNetworks({ instance, runDir }) : new FakeNetworks(),
  );
  const shared = new SharedMemoryChannels({
    runDir,
    cgroups: openChannelCgroups(instance),
    ownerOf: async (spec) => (isolation ? hostUserOf(isolation, spec) : spec.uid),
    clock,
  });
  const channels = through('channels', shared);
  const probe: HealthProbe = {
    probe: async ({ name, health }, signal) => {
      if (health?.check.kind !== 'exec') return 'Only exec is looked at here';
      try {
        const { exitCode, output } = await runtime.exec(name, health.check.args, signal);
        return exitCode === 0 ? undefined : `Exited with code ${exitCode}: ${output}`;
      } catch (error) {
        return String(error);
      }
    },
  };
  const reboots: string[] = [];
  const host = {
    reboot: async (reason: string) => {
      reboots.push(reason);
      return 'Not in a test';
    },
  };
  const supervisor = new Supervisor({
    networks,
    channels,
    probe,
    strain: options.readStrain ?? (() => strain),
    host,
    runtime: through('runtime', runtime),
    cgroups,
    rootfs,
    holds: { inForce: () => new Map() },
    memory: through('memory', fileMemory(join(dir, 'memory.json'))),
    clock,
    log: { info: () => undefined, warn: (details, message) => console.error(message, details) },
    onChange: () => undefined,
    onEvent: (event) => events.push(event),
    sampleMs: 300,
  });
  return { supervisor, runtime, cgroups, events, strain, networks, channels: shared, reboots };
}
