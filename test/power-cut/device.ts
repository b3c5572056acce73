import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PatientLedger } from '../../agent/ledger/patient-ledger.ts';
import { systemClock } from '../../agent/system-clock.ts';
import { FolderBlobStore } from '../../agent/update/blobs/folder-blob-store.ts';
import { blobsInUse } from '../../agent/update/blobs-in-use.ts';
import { NOTHING_KNOWN } from '../../agent/update/core/hold.ts';
import type { UpdateRecord } from '../../agent/update/core/record.ts';
import { UpdateEngine } from '../../agent/update/engine.ts';
import { Leases } from '../../agent/update/facts/leases.ts';
import { FakeWorkloads } from '../../agent/update/fake-workloads.ts';
import type { BlobStore, ChunkSource, PartialBlob, UpdateLedger } from '../../agent/update/ports.ts';
import type { TrustedMetadata } from '../../agent/update/tuf/ports.ts';
import { TrustStore } from '../../agent/update/tuf/trust-store.ts';
import { TufUpdater } from '../../agent/update/tuf/updater.ts';

/** What the agent holds to be durable, said at the moment from which it relies on it. */
export type Mark =
  | { type: 'record'; record: UpdateRecord }
  | { type: 'trust'; texts: unknown }
  | { type: 'piece'; verity: string; piece: number }
  | { type: 'leases'; holders: string[] }
  | { type: 'step'; step: number };

export interface DeviceOptions {
  stateDir: string;
  factoryRoot: string;
  fleetKey: string;
  source: ChunkSource;
  onMark?: (mark: Mark) => void;
}

const board = {
  name: 'generic-amd64',
  title: 'Generic',
  platform: 'linux/amd64' as const,
  memory: '512MiB',
  cpus: 2,
  reserve: { system: '64MiB', agent: '64MiB' },
};

/** The update half of an agent with all that it keeps on a disk; only the services and the network are fake. */
export async function openDevice(options: DeviceOptions) {
  const { stateDir, source, fleetKey, onMark = () => {} } = options;
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
  const workloads = new FakeWorkloads();
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
    sourceOf: () => source,
    trust: new TufUpdater({ store: markedTrust(trust, onMark), log: logger }),
    workloads,
    clock: systemClock,
    trustedNow: (floor) => Math.max(Date.now(), floor),
    facts: () => ({ ...NOTHING_KNOWN, leases: leases.held(Date.now()) }),
    toServices: () => [],
    onChange: () => {},
    onRollback: () => {},
    log: logger,
    times: { healthPollMs: 5, retryMinMs: 5, retryMaxMs: 20, heldMs: 20, lookMs: 10 },
  });
  const stop = async () => {
    await engine.stop();
    ledger.close();
  };
  const isQuiet = () => collections === 0;
  return { engine, ledger, blobs, trust, leases, workloads, loaded, log, isQuiet, stop };
}

export type Device = Awaited<ReturnType<typeof openDevice>>;

/** Files in the blob folder that no release needs, or that are left from a download that is done. */
export function orphansOf(record: UpdateRecord, stateDir: string): string[] {
  const folder = join(stateDir, 'blobs');
  const inUse = blobsInUse(record, 'linux/amd64') ?? new Set();
  const wanted = new Set([...inUse].map((verity) => `${verity}.erofs`));
  return existsSync(folder) ? readdirSync(folder).filter((name) => !wanted.has(name)) : [];
}

type Method = (...args: never[]) => unknown;

/** The object itself, but for these methods, which are given its own. */
function around<T extends object>(target: T, changed: { [K in keyof T]?: (own: T[K]) => T[K] }): T {
  return new Proxy(target, {
    get: (_target, key) => {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== 'function') return member;
      const own = (member as Method).bind(target);
      const change = changed[key as keyof T] as ((own: Method) => Method) | undefined;
      return change ? change(own) : own;
    },
  });
}

const markedLedger = (ledger: UpdateLedger, onRecord: (record: UpdateRecord) => void): UpdateLedger =>
  around(ledger, {
    record: (own) => (record, events) => {
      const isTaken = own(record, events);
      if (isTaken) onRecord(record);
      return isTaken;
    },
  });

const markedTrust = (store: TrustedMetadata, onMark: (mark: Mark) => void): TrustedMetadata =>
  around(store, {
    save: (own) => async (texts) => {
      await own(texts);
      onMark({ type: 'trust', texts });
    },
  });

const markedBlobs = (store: BlobStore, onMark: (mark: Mark) => void, onCollected: () => void): BlobStore =>
  around(store, {
    collect: (own) => (keep) => own(keep).finally(onCollected),
    resume: (own) => async (verity, size, leaves) =>
      around<PartialBlob>(await own(verity, size, leaves), {
        write: (write) => async (piece, data) => {
          const isGood = await write(piece, data);
          if (isGood) onMark({ type: 'piece', verity, piece });
          return isGood;
        },
      }),
  });
