import { join } from 'node:path';
import type { Logger } from 'pino';
import { parseBytes } from '../protocol/quantities.ts';
import type { DeviceHealth, ServiceStatus } from '../protocol/status.ts';
import type { AgentConfig } from './config.ts';
import { inspector } from './inspect-view.ts';
import type { PatientLedger } from './ledger/patient-ledger.ts';
import type { AgentView } from './local-api/ports.ts';
import { openMachine } from './open-machine.ts';
import { rebootHost } from './reboot-host.ts';
import { secretsView } from './secrets-view.ts';
import { kernelLogUsec, readOomKills } from './supervisor/cgroup/oom-log.ts';
import { toServiceSpecs } from './supervisor/from-manifest.ts';
import { DeviceFacts } from './supervisor/health/device-facts.ts';
import { ServiceProbe } from './supervisor/health/probe.ts';
import { readLog } from './supervisor/logs/read-log.ts';
import type { ContainerRuntime } from './supervisor/ports.ts';
import type { Capsule } from './supervisor/postmortem/capsule.ts';
import { CapsuleRing } from './supervisor/postmortem/capsule-ring.ts';
import { PostMortems } from './supervisor/postmortem/post-mortems.ts';
import type { DesiredServices } from './supervisor/service-spec.ts';
import { Supervisor } from './supervisor/supervisor.ts';
import { systemClock } from './system-clock.ts';
import type { FolderBlobStore } from './update/blobs/folder-blob-store.ts';
import { desiredServices } from './update/desired-services.ts';

/** Log lines that a post-mortem keeps. */
const TAIL_LINES = 50;
/** How far back the kernel's log is looked through for the process it killed. */
const OOM_LOG_USEC = 60_000_000;

export interface SupervisedParts {
  config: AgentConfig;
  blobs: FolderBlobStore;
  ledger: PatientLedger;
  log: Logger;
  onChange(): void;
}

export interface Supervised {
  supervisor: Supervisor;
  /** How the device is, as reports and the local API tell it. */
  health(): DeviceHealth;
  details: Pick<AgentView, 'inspect' | 'capsules' | 'capsule' | 'secrets'>;
  /** When the supervisor last began a look at the machine, Unix ms: one that hangs begins none. */
  lastLookAt(): number;
  start(): void;
  stop(how: { services: 'keep' | 'stop' }): Promise<void>;
}

/** The supervisor over this machine's runtime, cgroups, mounts and networks; not started. */
export async function openSupervised(parts: SupervisedParts): Promise<Supervised> {
  const { config, ledger, log, onChange } = parts;
  const { stateDir, board } = config;
  const onError = (error: unknown): void => log.warn({ error }, 'A file of the agent could not be written');
  const facts = await DeviceFacts.open({
    stateDir,
    now: systemClock.now(),
    enduranceBytes: board.storageEndurance === undefined ? undefined : parseBytes(board.storageEndurance),
    onError,
  });
  const { cgroups, isolation, networks, runtime, pump } = openMachine(parts);
  let lookedAt = systemClock.now();
  const health = (): DeviceHealth => {
    const faults = ledger.faults();
    const shedding = supervisor.shedding();
    return { ...facts.health(), ...(shedding && { shedding }), ...(faults.length > 0 && { faults }) };
  };
  const supervisor = new Supervisor({
    runtime: noticing(runtime, () => {
      lookedAt = systemClock.now();
    }),
    cgroups,
    networks,
    rootfs: isolation.rootfs,
    probe: new ServiceProbe({
      exec: (service, args, signal) => runtime.exec(service, args, signal),
      addressOf: (service) => Object.values(networks.observe(service)?.addresses ?? {})[0],
    }),
    strain: () => facts.strain(),
    host: rebootHost(config.reboot, (reason) => facts.noteReboot(reason)),
    shedThresholds: board.shed,
    details: { degraded: (spec) => isolation.degraded(spec), logs: (service) => pump.stats(service) },
    memory: ledger.services,
    clock: systemClock,
    log,
    onChange: () => {
      postMortems.remember(supervisor.statuses());
      onChange();
    },
    onEvent: (event) => {
      ledger.outbox.add(event);
      void postMortems.note(event);
    },
  });
  const ring = new CapsuleRing(join(stateDir, 'capsules'), onError);
  const statuses = (): ServiceStatus[] => supervisor.statuses();
  const postMortems = new PostMortems({
    ring,
    statuses,
    why: (service) => supervisor.why(service),
    health,
    releaseOf: (service) => releaseOf(releaseInForce(config, ledger), service),
    tail: (service) => lastLines(join(stateDir, 'logs', service)),
    oomKilled: (service) => lastKilled(cgroups.pathOf(service)),
    onError,
  });
  return {
    supervisor,
    health,
    details: {
      inspect: inspector({
        desired: () => releaseInForce(config, ledger),
        statuses,
        held: (service) => cgroups.read(service),
        hostIds: async (spec) => {
          const range = await isolation.rangeOf(spec);
          return range && { first: range.hostBase, count: range.size };
        },
      }),
      capsules: () => ring.list(),
      capsule: (id) => ring.read(id),
      secrets: secretsView({
        store: isolation.secrets,
        desired: () => releaseInForce(config, ledger),
        supervisor,
        outbox: ledger.outbox,
        clock: systemClock,
      }),
    },
    lastLookAt: () => lookedAt,
    start: () => {
      pump.start();
      supervisor.start();
    },
    stop: async (how) => {
      await supervisor.stop(how);
      pump.stop();
      await facts.close();
    },
  };
}

function releaseOf({ release, services }: DesiredServices, service: string) {
  return {
    release: release && `${release.name} ${release.version}`,
    specDigest: services.find(({ name }) => name === service)?.digest,
  };
}

async function lastLines(folder: string): Promise<Capsule['log']> {
  const lines: Capsule['log'] = [];
  const signal = new AbortController().signal;
  for await (const line of readLog(folder, { tail: TAIL_LINES, follow: false, signal })) lines.push(line);
  return lines;
}

function lastKilled(cgroup: string): Capsule['oomKilled'] {
  const since = Math.max(0, kernelLogUsec() - OOM_LOG_USEC);
  const killed = readOomKills(since).findLast((kill) => kill.cgroup === cgroup);
  return killed && { pid: killed.pid, command: killed.task };
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
