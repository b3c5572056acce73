import { readFileSync, realpathSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { agentView, type Online } from './agent-view.ts';
import type { AgentConfig } from './config.ts';
import { connect } from './connected.ts';
import { enrol } from './enrolment/enrol.ts';
import { type Identity, loadIdentity } from './enrolment/identity.ts';
import { leaseDesk } from './lease-desk.ts';
import { PatientLedger } from './ledger/patient-ledger.ts';
import { backoffMs } from './link/backoff.ts';
import { serveLocalApi } from './local-api/server.ts';
import { openOffline } from './offline.ts';
import { AgentFolder } from './self-update/agent-folder.ts';
import { openSupervised, type Supervised } from './supervised.ts';
import { bootId } from './supervisor/runtime/process-identity.ts';
import { systemClock } from './system-clock.ts';
import { FolderBlobStore } from './update/blobs/folder-blob-store.ts';
import type { SystemParts } from './update/engine-options.ts';
import { Leases } from './update/facts/leases.ts';

const ENROL_RETRY = { minMs: 2_000, maxMs: 300_000 };

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
  const stopping = new AbortController();
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
    const { postMortems } = supervised;
    const connected = connect({ ...updates, identity, bootId: bootId(), observed, postMortems });
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
  supervised.start();
  const api = await serveLocalApi({
    view: agentView({ config, supervisor, ledger, health, details, leases, online, startedAt: now() }),
    socketPath: config.socket,
    onError: (error) => log.error({ error }, 'The local API failed'),
  });
  // One that cannot be read is for a person to look at: enrolling anew would destroy the key.
  const enrolling =
    identity || online.fault !== undefined
      ? undefined
      : enrolUntilDone(config, online, log, stopping.signal).then((found) => found && joinFleet(found));

  const end = async ({ takesDown }: { takesDown: boolean }): Promise<void> => {
    stopping.abort();
    await enrolling;
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
    log.error({ error }, online.fault);
    return undefined;
  }
}

/** Tries until the server takes the device in, with growing pauses; undefined when stopped before. */
async function enrolUntilDone(
  { join: joinString, name, board, stateDir }: AgentConfig,
  online: Online,
  log: Logger,
  signal: AbortSignal,
): Promise<Identity | undefined> {
  if (joinString === undefined) {
    online.fault = 'the configuration holds no join string';
    return undefined;
  }
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      return await enrol({
        joinString,
        name,
        board: board.name,
        platform: board.platform,
        identityDir: join(stateDir, 'identity'),
      });
    } catch (error) {
      online.fault = error instanceof Error ? error.message : String(error);
      const waitMs = backoffMs(attempt, ENROL_RETRY, Math.random());
      log.warn({ waitMs }, `${online.fault}; trying again in ${waitMs} ms`);
      await pause(waitMs, undefined, { signal }).catch(() => {});
    }
  }
  return undefined;
}
