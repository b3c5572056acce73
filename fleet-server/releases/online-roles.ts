import type { KeyObject } from 'node:crypto';
import { Metadata, MetaFile, Snapshot, Timestamp } from '@tufjs/models';
import { sha256Hex } from '../../protocol/canonical.ts';
import { metadataObject } from '../../protocol/objects.ts';
import { roleText, type SignedRole, signRole, tufKeyOf } from '../../protocol/tuf.ts';
import { ProblemError } from '../problems.ts';
import type { Database } from '../store/tables.ts';
import { latestDelegated, latestRole, metadataText, putRole, versionOf } from './metadata-store.ts';

const HOUR_MS = 3_600_000;
export const SNAPSHOT_MS = 7 * 24 * HOUR_MS;
export const TIMESTAMP_MS = 24 * HOUR_MS;

/** The keys this server signs with: what is newest, never what a release holds. */
export interface OnlineKeys {
  snapshot: KeyObject;
  timestamp: KeyObject;
}

const NETWORK_LIFE = { snapshotMs: SNAPSHOT_MS, timestampMs: TIMESTAMP_MS };

/** Signs a new snapshot of the targets in force, and a timestamp over it. Call in the publishing transaction. */
export async function signSnapshot(
  db: Database,
  keys: OnlineKeys,
  now: number,
  { snapshotMs, timestampMs } = NETWORK_LIFE,
): Promise<void> {
  const version = await versionOf(db, 'targets');
  const text = version && (await metadataText(db, metadataObject('targets', version)));
  if (!version || !text) throw new Error('Cannot sign a snapshot: there are no targets');
  // A role that a snapshot named once stays named, or devices would refuse the next: TUF 1.0.34 §5.5.5.
  const delegated = [...(await latestDelegated(db))].map(
    ([role, { metadata, text: own }]) => [`${role}.json`, metaFile(metadata.signed.version, own)] as const,
  );
  const snapshot = new Metadata(
    new Snapshot({
      version: ((await versionOf(db, 'snapshot')) ?? 0) + 1,
      specVersion: '1.0.34',
      expires: isoSeconds(now + snapshotMs),
      meta: { 'targets.json': metaFile(version, text), ...Object.fromEntries(delegated) },
    }),
  );
  signRole(snapshot, keys.snapshot);
  await putRole(db, 'snapshot', snapshot);
  await signTimestamp(db, keys, snapshot, now, timestampMs);
}

async function signTimestamp(
  db: Database,
  keys: OnlineKeys,
  snapshot: SignedRole<'snapshot'>,
  now: number,
  lifeMs = TIMESTAMP_MS,
): Promise<void> {
  const text = roleText(snapshot);
  const timestamp = new Metadata(
    new Timestamp({
      version: ((await versionOf(db, 'timestamp')) ?? 0) + 1,
      specVersion: '1.0.34',
      expires: isoSeconds(now + lifeMs),
      snapshotMeta: metaFile(snapshot.signed.version, text),
    }),
  );
  signRole(timestamp, keys.timestamp);
  await putRole(db, 'timestamp', timestamp);
}

/** Signs anew what has used up half of its life; nothing before the first release. */
export async function renewOnlineRoles(db: Database, keys: OnlineKeys, now: number): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    const [snapshot, timestamp] = [
      await latestRole(transaction, 'snapshot'),
      await latestRole(transaction, 'timestamp'),
    ];
    if (!snapshot || !timestamp) return;
    if (Date.parse(snapshot.signed.expires) - now < SNAPSHOT_MS / 2)
      await signSnapshot(transaction, keys, now);
    else if (Date.parse(timestamp.signed.expires) - now < TIMESTAMP_MS / 2)
      await signTimestamp(transaction, keys, snapshot, now);
  });
}

/** Throws unless `root` lets this server's keys alone sign snapshot and timestamp. */
export function checkOnlineKeys(root: SignedRole<'root'>, keys: OnlineKeys): void {
  for (const role of ['snapshot', 'timestamp'] as const) {
    const named = root.signed.roles[role];
    const own = tufKeyOf(keys[role]).keyID;
    if (!named?.keyIDs.includes(own) || named.threshold !== 1) {
      throw new ProblemError(
        'release.online-keys',
        `Cannot use this root: role ${role} does not name this server's key ${own.slice(0, 12)} with threshold 1; sign a root with the keys of GET /api/v1/repository`,
      );
    }
  }
}

const metaFile = (version: number, text: string): MetaFile =>
  new MetaFile({ version, length: Buffer.byteLength(text), hashes: { sha256: sha256Hex(text) } });

/** TUF's date form has no fractions. */
const isoSeconds = (ms: number): string => new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
