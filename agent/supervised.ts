import { join } from 'node:path';
import type { Logger } from 'pino';
import type { AgentConfig } from './config.ts';
import type { PatientLedger } from './ledger/patient-ledger.ts';
import { hasSwapAccounting, openCgroups } from './supervisor/cgroup/detect.ts';
import { toServiceSpecs } from './supervisor/from-manifest.ts';
import type { ContainerRuntime } from './supervisor/ports.ts';
import { ConmonRuntime } from './supervisor/runtime/conmon.ts';
import { openIsolation } from './supervisor/runtime/isolation.ts';
import type { DesiredServices } from './supervisor/service-spec.ts';
import { Supervisor } from './supervisor/supervisor.ts';
import { systemClock } from './system-clock.ts';
import type { FolderBlobStore } from './update/blobs/folder-blob-store.ts';
import { desiredServices } from './update/desired-services.ts';

const LOG_MAX_BYTES = 4 * 1024 * 1024;

export interface SupervisedParts {
  config: AgentConfig;
  blobs: FolderBlobStore;
  ledger: PatientLedger;
  log: Logger;
  onChange(): void;
}

export interface Supervised {
  supervisor: Supervisor;
  /** When the supervisor last began a look at the machine, Unix ms: one that hangs begins none. */
  lastLookAt(): number;
}

/** The supervisor over this machine's runtime, cgroups and mounts; not started. */
export function openSupervised({ config, blobs, ledger, log, onChange }: SupervisedParts): Supervised {
  const { stateDir, runDir, instance, runtime: program } = config;
  const cgroups = openCgroups(instance);
  const isolation = openIsolation({ stateDir, runDir, blobPath: (verity) => blobs.pathOf(verity) });
  const { rootfs } = isolation;
  let lookedAt = systemClock.now();
  const runtime = new ConmonRuntime({
    runtime: program,
    instance,
    runDir,
    logsDir: join(stateDir, 'logs'),
    logMaxBytes: LOG_MAX_BYTES,
    cgroupsPath: (service) => cgroups.pathOf(service),
    volumePath: (volume) => rootfs.volumePath(volume),
    hasSwapAccounting: hasSwapAccounting(),
    placementOf: (spec) => isolation.placementOf(spec),
  });
  const supervisor = new Supervisor({
    runtime: noticing(runtime, () => {
      lookedAt = systemClock.now();
    }),
    cgroups,
    rootfs,
    memory: ledger.services,
    clock: systemClock,
    log,
    onChange,
    onEvent: (event) => ledger.outbox.add(event),
  });
  return { supervisor, lastLookAt: () => lookedAt };
}

/** The release in force as the ledger has it: what runs on while the device has no identity, or none to be read. */
export function releaseInForce({ board }: AgentConfig, ledger: PatientLedger): DesiredServices {
  return desiredServices(ledger.load(), (manifest) => {
    const specs = toServiceSpecs(manifest, board.platform);
    if (!specs.ok) throw new Error(specs.message);
    return specs.services;
  });
}

/** Every pass of the supervisor begins with this look. */
function noticing(runtime: ContainerRuntime, onLook: () => void): ContainerRuntime {
  const observe = runtime.observe.bind(runtime);
  runtime.observe = () => {
    onLook();
    return observe();
  };
  return runtime;
}
