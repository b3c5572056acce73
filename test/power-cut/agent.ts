import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PatientLedger } from '../../agent/ledger/patient-ledger.ts';
import { AgentFolder } from '../../agent/self-update/agent-folder.ts';
import { SecretStore } from '../../agent/supervisor/secrets/secret-store.ts';
import { ServiceHolds } from '../../agent/supervisor/service-holds.ts';
import { systemClock } from '../../agent/system-clock.ts';
import { FolderBlobStore } from '../../agent/update/blobs/folder-blob-store.ts';
import { NOTHING_KNOWN } from '../../agent/update/core/hold.ts';
import type { UpdateRecord } from '../../agent/update/core/record.ts';
import { UpdateEngine } from '../../agent/update/engine.ts';
import { Leases } from '../../agent/update/facts/leases.ts';
import type { FakeWorkloads } from '../../agent/update/fake-workloads.ts';
import type { ChunkSource } from '../../agent/update/ports.ts';
import { FolderSource } from '../../agent/update/sources/folder-source.ts';
import { SourceChain } from '../../agent/update/sources/source-chain.ts';
import { StoredMetadata } from '../../agent/update/tuf/stored-metadata.ts';
import { TrustStore } from '../../agent/update/tuf/trust-store.ts';
import { TufUpdater } from '../../agent/update/tuf/updater.ts';
import { type BoardBoot, slotsOf } from './board.ts';
import { type Mark, markedBlobs, markedLedger, markedTrust } from './marks.ts';

export interface AgentOptions {
  stateDir: string;
  factoryRoot: string;
  fleetKey: string;
  source: ChunkSource;
  workloads: FakeWorkloads;
  /** As bin/choose-agent says; undefined: it was not asked, and no release brings an agent. */
  running: string | undefined;
  /** Another agent is to take its place. */
  onLeave(): void;
  /** The board was booted from a slot; undefined: it has none. */
  booted?: BoardBoot | undefined;
  onReboot?(): void;
  onMark?: ((mark: Mark) => void) | undefined;
}

const board = {
  name: 'generic-amd64',
  title: 'Generic',
  platform: 'linux/amd64' as const,
  memory: '512MiB',
  cpus: 2,
  reserve: { system: '64MiB', agent: '64MiB' },
};

export const RECEIVER = { platform: board.platform, board: board.name };

/** The update half of an agent with all that it keeps on a disk; only the services and the network are fake. */
export async function openAgent(options: AgentOptions) {
  const { stateDir, source, fleetKey, workloads, running, onMark = () => {} } = options;
  mkdirSync(join(stateDir, 'trust'), { recursive: true, mode: 0o700 });
  const log: string[] = [];
  const keep = (_fields: object, message: string) => log.push(message);
  const logger = { info: keep, warn: keep };
  const ledger = new PatientLedger({
    path: join(stateDir, 'ledger.db'),
    slotsDir: join(stateDir, 'release'),
    clock: systemClock,
    log: logger,
    onChange: () => {},
    retryMs: 20,
  });
  const blobs = await FolderBlobStore.open(join(stateDir, 'blobs'));
  const trust = new TrustStore({ folder: join(stateDir, 'trust'), factoryRoot: options.factoryRoot });
  const leases = new Leases(stateDir);
  // The clock decides after a power cut: each agent is of another boot.
  const bootId = randomUUID();
  const holds = new ServiceHolds({
    memory: ledger.holds,
    clock: systemClock,
    bootId,
    upMs: () => performance.now(),
    services: () => undefined,
  });
  const secrets = new SecretStore(stateDir);
  const loaded = { record: ledger.load(), trust: await trust.load(), log: [...log] };
  /** Collections that a commit has asked for and that are not done. */
  let collections = 0;
  let phase = loaded.record.phase;
  const onRecord = (record: UpdateRecord) => {
    if (record.phase === 'committed' && phase !== 'committed') collections++;
    phase = record.phase;
    onMark({ type: 'record', record });
  };
  const onCollected = () => {
    collections = Math.max(0, collections - 1);
  };
  const engine = new UpdateEngine({
    identity: { device: 'boat-1', platform: 'linux/amd64', fleetKey },
    board,
    builtAt: 0,
    ledger: markedLedger(ledger, onRecord),
    blobs: markedBlobs(blobs, onMark, onCollected),
    sourceOf: (from) => (from === undefined ? source : sourceAfter(from, source, trust)),
    trust: new TufUpdater({ store: markedTrust(trust, onMark), log: logger }),
    workloads,
    clock: systemClock,
    trustedNow: (floor) => Math.max(Date.now(), floor),
    facts: () => ({ ...NOTHING_KNOWN, leases: leases.held(Date.now()) }),
    toServices: () => [],
    onChange: () => {},
    onRollback: () => {},
    agents: running === undefined ? undefined : shelfOf(stateDir, running, blobs),
    onAgentSwitch: options.onLeave,
    system: options.booted && {
      slots: slotsOf(stateDir, options.booted, blobs),
      boot: { id: options.booted.id, reason: 'lost-power' },
      reboot: async () => options.onReboot?.(),
    },
    log: logger,
    times: { healthPollMs: 5, retryMinMs: 5, retryMaxMs: 20, heldMs: 20, lookMs: 10 },
  });
  const stop = async () => {
    await engine.stop();
    ledger.close();
  };
  const isQuiet = () => collections === 0;
  return { engine, ledger, trust, leases, holds, secrets, loaded, log, isQuiet, stop };
}

export type Agent = Awaited<ReturnType<typeof openAgent>>;

/** A folder first, as in the agent that is connected. */
const sourceAfter = (folder: string, network: ChunkSource, trust: TrustStore): ChunkSource =>
  new SourceChain([{ name: 'network', source: network }], () => performance.now()).after([
    { name: folder, source: new FolderSource(folder) },
    { name: 'trusted', source: new StoredMetadata(trust) },
  ]);

/** Layers are mounted beside the disk, as the agent mounts them outside of its state. */
const shelfOf = (stateDir: string, running: string, blobs: FolderBlobStore): AgentFolder =>
  new AgentFolder({
    folder: join(stateDir, 'agent'),
    mountDir: join(stateDir, '../../agent-images', stateDir.split('/').at(-2) ?? ''),
    running,
    blobs,
  });
