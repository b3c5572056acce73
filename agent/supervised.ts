import { join } from 'node:path';
import type { Logger } from 'pino';
import { parseBytes } from '../protocol/quantities.ts';
import { LEASE_FILE } from '../protocol/service-lease.ts';
import type { DeviceHealth } from '../protocol/status.ts';
import { channelDesk } from './channel-desk.ts';
import type { AgentConfig } from './config.ts';
import { execDesk } from './exec-desk.ts';
import { heldServices, NOT_LEFT } from './held-services.ts';
import { holdDesk } from './hold-desk.ts';
import { inspector } from './inspect-view.ts';
import type { PatientLedger } from './ledger/patient-ledger.ts';
import type { PostMortemQueue } from './link/ports.ts';
import type { AgentView } from './local-api/ports.ts';
import { openMachine } from './open-machine.ts';
import { openPostMortems } from './open-post-mortems.ts';
import { rebootBoard, rebootHost } from './reboot-host.ts';
import { secretsView } from './secrets-view.ts';
import { diskUse } from './supervisor/disk-use.ts';
import { toServiceSpecs } from './supervisor/from-manifest.ts';
import { ClockWatch } from './supervisor/health/clock-watch.ts';
import { DeviceFacts } from './supervisor/health/device-facts.ts';
import { ServiceProbe } from './supervisor/health/probe.ts';
import type { CgroupTree, ContainerRuntime, Networks, ObservedContainer } from './supervisor/ports.ts';
import type { Isolation } from './supervisor/runtime/isolation.ts';
import { bootId } from './supervisor/runtime/process-identity.ts';
import { runProgram } from './supervisor/runtime/run-program.ts';
import { ServiceHolds } from './supervisor/service-holds.ts';
import type { DesiredServices, ServiceSpec } from './supervisor/service-spec.ts';
import type { ContainerSessions } from './supervisor/session-port.ts';
import { Supervisor } from './supervisor/supervisor.ts';
import { systemClock } from './system-clock.ts';
import type { FolderBlobStore } from './update/blobs/folder-blob-store.ts';
import { desiredServices } from './update/desired-services.ts';
import type { SystemParts, UpdateEngineOptions } from './update/engine-options.ts';
import { ServiceLeases } from './update/facts/service-leases.ts';

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
  details: Pick<AgentView, 'inspect' | 'capsules' | 'capsule' | 'secrets' | 'channels' | 'holds' | 'exec'>;
  /** Held by services that are busy. */
  leases: ServiceLeases;
  postMortems: PostMortemQueue;
  onRollback: UpdateEngineOptions['onRollback'];
  /** Whatever the configuration allows services to ask for. */
  reboot: SystemParts['reboot'];
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
  const facts = await openFacts(config, onError);
  const { cgroups, isolation, channels, networks, runtime, pump, logKeeper } = openMachine(parts);
  const look: Look = { at: systemClock.now(), containers: [] };
  const health = (): DeviceHealth => {
    const faults = ledger.faults();
    const shedding = supervisor.shedding();
    return { ...facts.health(), ...(shedding && { shedding }), ...(faults.length > 0 && { faults }) };
  };
  const holds = openHolds(ledger);
  const supervisor = new Supervisor({
    runtime: noticing(runtime, look),
    cgroups,
    networks,
    channels,
    rootfs: isolation.rootfs,
    probe: probeOf(runtime, networks),
    strain: () => facts.strain(),
    host: rebootHost(config.reboot, (reason) => facts.noteReboot(reason)),
    shedThresholds: board.shed,
    details: {
      degraded: (spec) => isolation.degraded(spec),
      logs: (service) => pump.stats(service),
      disk: (spec) => diskUse(isolation.rootfs, spec),
    },
    memory: ledger.services,
    holds,
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
  const inForce = (): DesiredServices => releaseInForce(config, ledger);
  const { ring, postMortems } = openPostMortems({
    stateDir,
    supervisor: () => supervisor,
    seen: () => look.containers,
    inForce,
    health,
    cgroups,
    pump,
    onError,
  });
  return {
    supervisor,
    health,
    details: {
      inspect: inspectorOf(inForce, supervisor, cgroups, isolation),
      capsules: () => ring.list(),
      capsule: (id) => ring.read(id),
      channels: channelDesk(channels),
      holds: holdDesk({ holds, supervisor, desired: inForce, ledger, clock: systemClock }),
      exec: execOf(supervisor, runtime, inForce, ledger),
      secrets: secretsView({
        store: isolation.secrets,
        desired: inForce,
        supervisor,
        outbox: ledger.outbox,
        clock: systemClock,
      }),
    },
    leases: serviceLeases(isolation, supervisor),
    postMortems: ring,
    onRollback: (why, failed, unwell) => void postMortems.noteRollback(why, failed, unwell),
    reboot: (reason) => rebootBoard((why) => facts.noteReboot(why), reason),
    lastLookAt: () => look.at,
    start: () => {
      pump.start();
      logKeeper.start();
      // Before anybody can ask for the next: what an agent that was killed had begun is known by its files.
      runtime.endStrays().catch((error) => log.warn({ error }, 'Cannot end what the agent before had begun'));
      supervisor.start();
    },
    stop: async (how) => {
      await supervisor.stop(how);
      logKeeper.stop();
      pump.stop();
      await facts.close();
    },
  };
}

const inspectorOf = (
  desired: () => DesiredServices,
  supervisor: Supervisor,
  cgroups: CgroupTree,
  isolation: Isolation,
): AgentView['inspect'] =>
  inspector({
    desired,
    statuses: () => supervisor.statuses(),
    held: (service) => cgroups.read(supervisor.instanceOf(service)),
    loosenings: (spec) => isolation.loosenings(spec),
    hostIds: (spec) => hostIdsOf(isolation, spec),
  });

const openHolds = (ledger: PatientLedger): ServiceHolds =>
  new ServiceHolds({
    memory: ledger.holds,
    clock: systemClock,
    bootId: bootId(),
    // CLOCK_MONOTONIC: the same for every agent of a boot.
    upMs: () => Number(process.hrtime.bigint() / 1_000_000n),
    services: heldServices(() => ledger.load(), NOT_LEFT),
  });

const execOf = (
  supervisor: Supervisor,
  sessions: ContainerSessions,
  inForce: () => DesiredServices,
  { outbox }: PatientLedger,
): AgentView['exec'] =>
  execDesk({
    supervisor,
    sessions,
    userOf: (service) => inForce().services.find(({ name }) => name === service),
    outbox,
    clock: systemClock,
  });

const probeOf = (runtime: ContainerRuntime, networks: Networks): ServiceProbe =>
  new ServiceProbe({
    exec: (service, args, signal) => runtime.exec(service, args, signal),
    addressOf: (service) => Object.values(networks.observe(service)?.addresses ?? {})[0],
  });

function openFacts(
  { stateDir, board }: AgentConfig,
  onError: (error: unknown) => void,
): Promise<DeviceFacts> {
  return DeviceFacts.open({
    stateDir,
    now: systemClock.now(),
    enduranceBytes: board.storageEndurance === undefined ? undefined : parseBytes(board.storageEndurance),
    clockWatch: new ClockWatch({ clock: systemClock, runProgram, folder: '/run', arch: process.arch }),
    onError,
  });
}

const serviceLeases = ({ rootfs }: Isolation, supervisor: Supervisor): ServiceLeases =>
  new ServiceLeases(
    () => supervisor.statuses().map(({ name }) => name),
    (service) => join(rootfs.homeOf(supervisor.instanceOf(service)), 'lease', LEASE_FILE),
  );

async function hostIdsOf(isolation: Isolation, spec: ServiceSpec) {
  const range = await isolation.rangeOf(spec);
  return range && { first: range.hostBase, count: range.size };
}

/** The release in force as the ledger has it: what runs on while the device has no identity, or none to be read. */
function releaseInForce({ board }: AgentConfig, ledger: PatientLedger): DesiredServices {
  return desiredServices(ledger.load(), (manifest) => {
    const specs = toServiceSpecs(manifest, board.platform);
    if (!specs.ok) throw new Error(specs.message);
    return specs.services;
  });
}

/** The supervisor's last look at the machine: when it began, and what the last one that ended saw. */
interface Look {
  at: number;
  containers: readonly ObservedContainer[];
}

/** Every pass of the supervisor begins with this look. */
function noticing(runtime: ContainerRuntime, look: Look): ContainerRuntime {
  const observe = runtime.observe.bind(runtime);
  runtime.observe = async () => {
    look.at = systemClock.now();
    const containers = await observe();
    look.containers = containers;
    return containers;
  };
  return runtime;
}
