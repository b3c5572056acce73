import { join } from 'node:path';
import { heldServices } from './held-services.ts';
import type { SupervisedParts } from './supervised.ts';
import { hasSwapAccounting, openCgroups, openChannelCgroups } from './supervisor/cgroup/detect.ts';
import { channelsFolder, SharedMemoryChannels } from './supervisor/channels/shared-memory.ts';
import { LogKeeper } from './supervisor/logs/log-keeper.ts';
import { LogPump, SPOOL_BYTES } from './supervisor/logs/log-pump.ts';
import { KernelNetworks, resolvConfPath } from './supervisor/network/kernel-networks.ts';
import { ConmonRuntime } from './supervisor/runtime/conmon.ts';
import { type Isolation, openIsolation } from './supervisor/runtime/isolation.ts';
import type { Placement } from './supervisor/runtime/placement.ts';
import type { ServiceSpec } from './supervisor/service-spec.ts';
import { systemClock } from './system-clock.ts';

/** What of this machine the supervisor acts on: cgroups, mounts and ids, networks, the runtime and its logs. */
export function openMachine({ config, blobs, ledger, log }: SupervisedParts) {
  const { stateDir, runDir, instance, runtime: program, runtimes } = config;
  const cgroups = openCgroups(instance, stateDir);
  const isolation = openIsolation({ stateDir, runDir, blobPath: (verity) => blobs.pathOf(verity) });
  const channels = new SharedMemoryChannels({
    runDir,
    cgroups: openChannelCgroups(instance),
    ownerOf: (spec) => hostUserOf(isolation, spec),
    clock: systemClock,
  });
  const networks = new KernelNetworks({ instance, runDir });
  const spoolDir = join(runDir, 'logs');
  const pump = new LogPump({
    spoolDir,
    logsDir: join(stateDir, 'logs'),
    monitorWritten: (service) => runtime.monitorWritten(service),
    onDropped: (service, bytes) =>
      ledger.outbox.add({
        kind: 'service',
        service,
        code: 'logs.dropped',
        message: `Dropped ${bytes} bytes of its log`,
        at: systemClock.now(),
      }),
  });
  const runtime: ConmonRuntime = new ConmonRuntime({
    runtime: program,
    ...(runtimes && { runtimes }),
    instance,
    runDir,
    logsDir: spoolDir,
    logMaxBytes: SPOOL_BYTES,
    cgroupsPath: (service) => cgroups.pathOf(service),
    volumePath: (volume) => isolation.rootfs.volumePath(volume),
    hasSwapAccounting: hasSwapAccounting(),
    placementOf: (spec) => placementOf(isolation, runDir, spec),
    beforeStart: (spec) => pump.begin(spec),
    holdMonitor: (service, pid) => cgroups.holdMonitor(service, pid),
  });
  const logKeeper = new LogKeeper({
    pump,
    held: heldServices(() => ledger.load()),
    clock: systemClock,
    onError: (error) => log.warn({ error }, 'Cannot remove the logs of services that left; trying again'),
  });
  return { cgroups, isolation, channels, networks, runtime, pump, logKeeper };
}

/** All that the isolation places, its channels, and for a service on segments the names it finds there. */
export async function placementOf(
  isolation: Isolation,
  runDir: string,
  spec: ServiceSpec,
): Promise<Partial<Placement>> {
  const place = { ...(await isolation.placementOf(spec)), channelsDir: channelsFolder(runDir) };
  return spec.network === 'segments' ? { ...place, resolvConf: resolvConfPath(runDir, spec.name) } : place;
}

/** The user of the machine that the service's own user is. */
export const hostUserOf = async (isolation: Pick<Isolation, 'rangeOf'>, spec: ServiceSpec): Promise<number> =>
  ((await isolation.rangeOf(spec))?.hostBase ?? 0) + spec.uid;
