import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { agentView, type Online } from './agent-view.ts';
import type { AgentConfig } from './config.ts';
import { connect } from './connected.ts';
import { enrol } from './enrolment/enrol.ts';
import { type Identity, loadIdentity } from './enrolment/identity.ts';
import { openLedger } from './ledger/open-ledger.ts';
import type { SqliteLedger } from './ledger/sqlite-ledger.ts';
import { backoffMs } from './link/backoff.ts';
import { serveLocalApi } from './local-api/server.ts';
import { hasSwapAccounting, openCgroups } from './supervisor/cgroup/detect.ts';
import { deviceHealth } from './supervisor/health/device-health.ts';
import { ErofsRootfs } from './supervisor/images/erofs-rootfs.ts';
import { ConmonRuntime } from './supervisor/runtime/conmon.ts';
import { bootId } from './supervisor/runtime/process-identity.ts';
import { Supervisor } from './supervisor/supervisor.ts';
import { systemClock } from './system-clock.ts';
import { FolderBlobStore } from './update/blobs/folder-blob-store.ts';

const LOG_MAX_BYTES = 4 * 1024 * 1024;
const ENROL_RETRY = { minMs: 2_000, maxMs: 300_000 };

export interface RunningAgent {
  /** Leaves the services running, or takes them down and everything of theirs, as the configuration says. */
  stop(): Promise<void>;
}

/** Builds the whole agent. Services of the release in force run before the network is tried. */
export async function startAgent(config: AgentConfig, log: Logger): Promise<RunningAgent> {
  const { stateDir, runDir } = config;
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  await mkdir(runDir, { recursive: true, mode: 0o711 });
  const { ledger, quarantined } = openLedger(join(stateDir, 'ledger.db'));
  if (quarantined) log.error(`The ledger was unreadable and lies in ${quarantined}; a new one was begun`);
  await mkdir(join(stateDir, 'trust'), { recursive: true, mode: 0o700 });
  const blobs = await FolderBlobStore.open(join(stateDir, 'blobs'));
  const online: Online = { connected: undefined, fault: undefined };
  const supervisor = openSupervisor(config, blobs, ledger, log, online);
  const stopping = new AbortController();

  const goOnline = (identity: Identity): void => {
    const observed = () => ({ services: supervisor.statuses(), device: deviceHealth({ stateDir }) });
    const connected = connect({
      config,
      identity,
      ledger,
      blobs,
      workloads: supervisor,
      bootId: bootId(),
      observed,
      log,
    });
    online.connected = { ...connected, identity };
    // The release in force must be known before the supervisor's first look, or it would stop what runs.
    connected.engine.start();
    connected.start();
  };
  const identity = await loadIdentity(join(stateDir, 'identity'));
  if (identity) goOnline(identity);
  else supervisor.apply({ release: undefined, services: [] });
  supervisor.start();
  const api = await serveLocalApi({
    view: agentView({ config, supervisor, online, startedAt: systemClock.now() }),
    socketPath: config.socket,
    onError: (error) => log.error({ error }, 'The local API failed'),
  });
  const enrolling = identity
    ? undefined
    : enrolUntilDone(config, online, log, stopping.signal).then((found) => found && goOnline(found));

  return {
    stop: async () => {
      stopping.abort();
      await enrolling;
      await api.close();
      const takesDown = config.onStop === 'stop-services';
      await supervisor.stop({ services: takesDown ? 'stop' : 'keep' });
      await online.connected?.stop();
      ledger.close();
      if (takesDown) await rm(runDir, { recursive: true, force: true });
    },
  };
}

function openSupervisor(
  config: AgentConfig,
  blobs: FolderBlobStore,
  ledger: SqliteLedger,
  log: Logger,
  online: Online,
): Supervisor {
  const { stateDir, runDir, instance, runtime } = config;
  const cgroups = openCgroups(instance);
  const rootfs = new ErofsRootfs({ runDir, blobPath: (verity) => blobs.pathOf(verity) });
  return new Supervisor({
    runtime: new ConmonRuntime({
      runtime,
      instance,
      runDir,
      logsDir: join(stateDir, 'logs'),
      logMaxBytes: LOG_MAX_BYTES,
      cgroupsPath: (service) => cgroups.pathOf(service),
      volumePath: (volume) => rootfs.volumePath(volume),
      hasSwapAccounting: hasSwapAccounting(),
    }),
    cgroups,
    rootfs,
    memory: ledger.services,
    clock: systemClock,
    log,
    onChange: () => online.connected?.changed(),
    onEvent: (event) => ledger.outbox.add(event),
  });
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
