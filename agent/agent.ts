import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { agentView, type Online } from './agent-view.ts';
import type { AgentConfig } from './config.ts';
import { connect } from './connected.ts';
import { type Identity, loadIdentity } from './enrolment/identity.ts';
import { Joining } from './joining.ts';
import { leaseDesk } from './lease-desk.ts';
import { PatientLedger } from './ledger/patient-ledger.ts';
import { serveLocalApi } from './local-api/server.ts';
import { openOffline } from './offline.ts';
import { planDesk } from './plan-desk.ts';
import { AgentFolder } from './self-update/agent-folder.ts';
import { openSupervised, type Supervised } from './supervised.ts';
import { bootId } from './supervisor/runtime/process-identity.ts';
import { systemClock } from './system-clock.ts';
import { FolderBlobStore } from './update/blobs/folder-blob-store.ts';
import type { SystemParts } from './update/engine-options.ts';
import { Leases } from './update/facts/leases.ts';

export interface RunningAgent {
  /** One line for people: what runs and how the link is. */
  summary(): string;
  /** When the supervisor last looked at the machine, Unix ms. */
  lastLookAt(): number;
  /** Leaves the services running, or takes them down and everything of theirs, as the configuration says. */
  stop(): Promise<void>;
  /** Leaves the services to the next agent, whatever the configuration says. */
  giveWay(): Promise<void>;
}

export interface Launch {
  /** What bin/wherry-agent chose; undefined when the agent was started without it. */
  as: string | undefined;
  /** Another agent is to take this one's place. */
  onAgentSwitch(): void;
}

const BY_ITSELF: Launch = { as: undefined, onAgentSwitch: () => undefined };

/** Builds the whole agent. Services of the release in force run before the network is tried. */
export async function startAgent(
  config: AgentConfig,
  log: Logger,
  launch: Launch = BY_ITSELF,
): Promise<RunningAgent> {
  const { stateDir, runDir } = config;
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  await mkdir(runDir, { recursive: true, mode: 0o711 });
  await undoChaos(stateDir, log);
  const online: Online = { connected: undefined, steered: undefined, fault: undefined };
  const onChange = (): void => online.connected?.changed();
  const ledger = new PatientLedger({
    path: join(stateDir, 'ledger.db'),
    slotsDir: join(stateDir, 'release'),
    clock: systemClock,
    log,
    onChange,
  });
  const blobs = await FolderBlobStore.open(join(stateDir, 'blobs'));
  const agents = launch.as === undefined ? undefined : openAgents(config, launch.as, blobs);
  const supervised = await openSupervised({ config, blobs, ledger, log, onChange });
  const { supervisor, health, details } = supervised;
  const leases = leaseDesk({
    hand: new Leases(stateDir),
    services: supervised.leases,
    outbox: ledger.outbox,
    clock: systemClock,
    onChange: () => online.steered?.engine.wake(),
  });
  const { now } = systemClock;

  const updates = {
    config,
    ledger,
    blobs,
    workloads: supervisor,
    onRollback: supervised.onRollback,
    leases: leases.held,
    agents,
    onAgentSwitch: launch.onAgentSwitch,
    system: await openSystem(config, blobs, supervised),
    log,
  };
  const observed = () => observedOf(supervised);
  // The release in force must be known before the supervisor's first look, or it would stop what runs.
  const goOnline = (identity: Identity): void => {
    const parts = { identity, bootId: bootId(), observed, view: () => view };
    const connected = connect({ ...supervised, ...updates, ...parts });
    online.connected = { ...connected, identity };
    online.steered = connected;
    connected.engine.start();
    connected.start();
  };
  const identity = await findIdentity(config, online, log);
  const offline = identity
    ? undefined
    : openOffline({ ...updates, clockState: () => health().clock?.state ?? 'unknown' });
  if (identity) goOnline(identity);
  online.steered ??= offline;
  offline?.start();
  const joinFleet = async (found: Identity): Promise<void> => {
    online.steered = undefined;
    await offline?.stop();
    goOnline(found);
  };
  const joining = new Joining({ config, online, outbox: ledger.outbox, log, onJoined: joinFleet });
  supervised.start();
  const slots = updates.system?.slots;
  const known = { config, supervisor, ledger, health, details, leases, online, startedAt: now() };
  const plans = planDesk({ ...known, blobs, slots, log });
  const view = agentView({ ...known, plans, enrolment: joining });
  const api = await serveLocalApi({
    view,
    socketPath: config.socket,
    onError: (error) => log.error({ error }, 'The local API failed'),
  });
  joining.start();

  const end = async ({ takesDown }: { takesDown: boolean }): Promise<void> => {
    await joining.stop();
    await api.close();
    await supervised.stop({ services: takesDown ? 'stop' : 'keep' });
    await (online.connected ?? offline)?.stop();
    ledger.close();
    if (takesDown) await rm(runDir, { recursive: true, force: true });
  };
  return {
    summary: () => summaryOf(supervised, online),
    lastLookAt: supervised.lastLookAt,
    stop: () => end({ takesDown: config.onStop === 'stop-services' }),
    giveWay: () => end({ takesDown: false }),
  };
}

/** What an experiment of `wherry chaos` left on a development board. Others never read the code for it. */
async function undoChaos(stateDir: string, log: Logger): Promise<void> {
  if (!existsSync(join(stateDir, 'chaos.json'))) return;
  const { undoLeftBehind } = await import('./chaos/undo-chaos.ts');
  const undone = await undoLeftBehind(stateDir).catch((error: unknown) => {
    log.warn({ error }, 'Cannot take back what an experiment left; wherry chaos undo tries again');
    return undefined;
  });
  if (undone !== undefined) log.warn({ experiment: undone }, 'Took back what an experiment had left');
}

/** mountinfo shows where things really are. */
const openAgents = (
  { stateDir, runDir }: AgentConfig,
  running: string,
  blobs: FolderBlobStore,
): AgentFolder =>
  new AgentFolder({
    folder: join(stateDir, 'agent'),
    mountDir: join(realpathSync(runDir), 'agent-image'),
    running,
    blobs,
  });

/** Undefined on a device that was not booted from a slot. */
async function openSystem(
  { stateDir }: AgentConfig,
  blobs: FolderBlobStore,
  { health, reboot }: Supervised,
): Promise<SystemParts | undefined> {
  const commandLine = readFileSync('/proc/cmdline', 'utf8');
  if (!commandLine.includes('wherry.slot=')) return undefined;
  // A device without slots does not hold the code for them.
  const { openSlots, slotPaths } = await import('./system-slots/open-slots.ts');
  const slots = openSlots({ commandLine, ...slotPaths(stateDir) }, blobs);
  return slots && { slots, boot: { id: bootId(), reason: health().boot?.reason }, reboot };
}

function observedOf({ supervisor, health, details }: Supervised) {
  const { channels } = details.channels.list();
  return { services: supervisor.statuses(), device: health(), ...(channels.length > 0 && { channels }) };
}

function summaryOf({ supervisor }: Supervised, online: Online): string {
  const statuses = supervisor.statuses();
  const running = statuses.filter(({ state }) => state === 'running').length;
  return `${running} of ${statuses.length} services running, link ${online.connected?.link().state ?? 'not-enrolled'}`;
}

/** Undefined when there is none, or none that can be read: `online.fault` then says why. */
async function findIdentity(
  { stateDir }: AgentConfig,
  online: Online,
  log: Logger,
): Promise<Identity | undefined> {
  try {
    return await loadIdentity(join(stateDir, 'identity'));
  } catch (error) {
    online.fault = error instanceof Error ? error.message : String(error);
    online.isUnreadable = true;
    log.error({ error }, online.fault);
    return undefined;
  }
}
