import { randomUUID } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Metadata, TargetFile, Targets } from '@tufjs/models';
import { openKeys, type ServerKeys } from '../../fleet-server/keys/server-keys.ts';
import { putRole } from '../../fleet-server/releases/metadata-store.ts';
import { signSnapshot } from '../../fleet-server/releases/online-roles.ts';
import { openSqlite } from '../../fleet-server/store/sqlite.ts';
import type { Database } from '../../fleet-server/store/tables.ts';
import { targetPath } from '../../protocol/manifest.ts';
import { blobObject } from '../../protocol/objects.ts';
import { signRole } from '../../protocol/tuf.ts';
import type { TestFleet } from './fleet-server.ts';
import type { Publisher, ServiceRelease } from './service-release.ts';
import { newKey } from './signed-release.ts';

/** What somebody who owns the server can do: its database, its keys and its files, behind the back of its checks. */
export async function behindTheServer<T>(
  { dataDir }: TestFleet,
  work: (db: Database, keys: ServerKeys) => Promise<T>,
): Promise<T> {
  const db = await openSqlite(join(dataDir, 'fleet.db'));
  try {
    return await work(db, await openKeys(join(dataDir, 'keys')));
  } finally {
    await db.destroy();
  }
}

/** Flips one bit in the middle of a stored blob. */
export async function tamper({ dataDir }: Pick<TestFleet, 'dataDir'>, verity: string): Promise<void> {
  const file = await open(join(dataDir, 'blobs', blobObject(verity)), 'r+');
  try {
    const { size } = await file.stat();
    const at = Math.floor(size / 2);
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
    await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, at);
  } finally {
    await file.close();
  }
}

/** Puts a release in force that the signer never saw: targets by a stranger's key, vouched for by the online keys. */
export async function forgeRelease(
  fleet: TestFleet,
  publisher: Publisher,
  release: ServiceRelease,
): Promise<string> {
  const { manifest, manifestText, manifestSha256 } = release;
  await publisher.upload(release);
  const version = ++publisher.targetsVersion;
  const path = targetPath(manifest.name, manifest.version);
  const file = new TargetFile({
    path,
    length: Buffer.byteLength(manifestText),
    hashes: { sha256: manifestSha256 },
  });
  const targets = new Metadata(
    new Targets({
      version,
      specVersion: '1.0.34',
      expires: '2099-01-01T00:00:00Z',
      targets: { [path]: file },
    }),
  );
  signRole<'targets'>(targets, newKey());
  const id = randomUUID();
  await behindTheServer(fleet, (db, keys) =>
    db.transaction().execute(async (transaction) => {
      await putRole(transaction, 'targets', targets);
      await signSnapshot(transaction, keys, Date.now());
      const { name } = manifest;
      const row = { id, name, version: manifest.version, manifestSha256, manifestJson: manifestText };
      const about = { signedByJson: '[]', targetsVersion: version, uploadedAt: 0, uploadedBy: 'nobody' };
      await transaction
        .insertInto('releases')
        .values({ ...row, ...about })
        .execute();
    }),
  );
  return id;
}

/** Makes the server believe that a release is for another board than its signed manifest says. */
export const lieAboutBoard = (fleet: TestFleet, release: string, board: string, lie: string) =>
  behindTheServer(fleet, async (db) => {
    const rows = db.selectFrom('releases').select('manifestJson').where('id', '=', release);
    const { manifestJson } = await rows.executeTakeFirstOrThrow();
    const changed = { manifestJson: manifestJson.replace(board, lie) };
    await db.updateTable('releases').set(changed).where('id', '=', release).execute();
  });

/** Runs `work` with a device's generation set to what it should not be; the true one is put back. */
export async function withGeneration<T>(
  fleet: TestFleet,
  device: string,
  generation: number,
  work: () => Promise<T>,
): Promise<T> {
  const set = (desiredGeneration: number) =>
    behindTheServer(fleet, (db) =>
      db.updateTable('devices').set({ desiredGeneration }).where('id', '=', device).execute(),
    );
  const before = (await fleet.api('GET', `/devices/${device}`)).body.desired.generation;
  await set(generation);
  try {
    return await work();
  } finally {
    await set(before);
  }
}

/** Runs `work` while the server shows the metadata of an earlier time, signatures and all; today's is put back. */
export async function withMetadataOf<T>(
  fleet: TestFleet,
  earlier: MetadataState,
  work: () => Promise<T>,
): Promise<T> {
  const now = await metadataState(fleet);
  await putState(fleet, earlier);
  try {
    return await work();
  } finally {
    await putState(fleet, now);
  }
}

/** Runs `work` under a fresh snapshot and timestamp that name an earlier targets version; then today's, signed anew. */
export async function withTargetsOf<T>(
  fleet: TestFleet,
  version: number,
  work: () => Promise<T>,
): Promise<T> {
  const name = (targets: number) =>
    behindTheServer(fleet, (db, keys) =>
      db.transaction().execute(async (transaction) => {
        await transaction
          .updateTable('repositoryRoles')
          .set({ version: targets })
          .where('role', '=', 'targets')
          .execute();
        await signSnapshot(transaction, keys, Date.now());
      }),
    );
  const now = (await fleet.api('GET', '/repository')).body.targetsVersion;
  await name(version);
  try {
    return await work();
  } finally {
    await name(now);
  }
}

type MetadataState = Awaited<ReturnType<typeof metadataState>>;

export const metadataState = (fleet: TestFleet) =>
  behindTheServer(fleet, async (db) => ({
    files: await db.selectFrom('repositoryFiles').selectAll().execute(),
    roles: await db.selectFrom('repositoryRoles').selectAll().execute(),
  }));

const putState = (fleet: TestFleet, { files, roles }: MetadataState) =>
  behindTheServer(fleet, (db) =>
    db.transaction().execute(async (transaction) => {
      await transaction.deleteFrom('repositoryFiles').execute();
      await transaction.deleteFrom('repositoryRoles').execute();
      await transaction.insertInto('repositoryFiles').values(files).execute();
      await transaction.insertInto('repositoryRoles').values(roles).execute();
    }),
  );
