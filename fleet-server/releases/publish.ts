import { readFile } from 'node:fs/promises';
import type { Board } from '../../protocol/board.ts';
import { blobsIn, checkManifest, type Manifest, targetPath } from '../../protocol/manifest.ts';
import { blobObject, manifestObject } from '../../protocol/objects.ts';
import { delegationsOf, type SignedRole, signersOf, TufError } from '../../protocol/tuf.ts';
import { isDelegated } from '../../protocol/tuf-paths.ts';
import { uuidv7 } from '../ids.ts';
import { ProblemError } from '../problems.ts';
import type { PublishRelease } from '../rest/api.ts';
import { audit } from '../store/audit.ts';
import type { Database, ReleaseRow } from '../store/tables.ts';
import { checkBoards } from './fitness.ts';
import { latestDelegated, latestRole, putRole } from './metadata-store.ts';
import type { ObjectStore } from './object-store.ts';
import { checkOnlineKeys, type OnlineKeys, signSnapshot } from './online-roles.ts';
import { checkDelegated, checkTargets, walkRoots } from './trust.ts';

export interface PublishOptions {
  db: Database;
  objects: ObjectStore;
  keys: OnlineKeys;
  loadBoards(): Promise<readonly Board[]>;
  now: () => number;
}

/** Checks a signed release whole and puts it in force, or throws a ProblemError and changes nothing. Idempotent. */
export async function publishRelease(
  options: PublishOptions,
  upload: PublishRelease,
  who: string,
): Promise<ReleaseRow> {
  const { manifest, bytes } = await storedManifest(options.objects, upload.manifestSha256);
  await checkBlobs(options.objects, manifest);
  checkBoards(manifest, await options.loadBoards());
  // One transaction at a time: the trusted versions read here are still the newest when the new ones are written.
  return options.db
    .transaction()
    .execute((transaction) => putInForce({ ...options, db: transaction }, upload, manifest, bytes, who))
    .catch((error: unknown) => {
      throw error instanceof TufError
        ? new ProblemError(`release.metadata-${error.code}`, error.message, { cause: error })
        : error;
    });
}

async function putInForce(
  { db, keys, now }: PublishOptions,
  upload: PublishRelease,
  manifest: Manifest,
  manifestBytes: number,
  who: string,
): Promise<ReleaseRow> {
  const { fresh, root } = walkRoots(await latestRole(db, 'root'), upload.roots, now());
  checkOnlineKeys(root, keys);
  const targets = checkTargets(root, await latestRole(db, 'targets'), upload.targets, now());
  const delegated = checkDelegated(
    targets.metadata,
    await latestDelegated(db),
    upload.delegated ?? {},
    now(),
  );
  const signer = signerOf(targets.metadata, delegated.inForce, targetPath(manifest.name, manifest.version));
  checkTarget(signer.metadata, manifest, upload.manifestSha256, manifestBytes);
  const before = await db
    .selectFrom('releases')
    .selectAll()
    .where('name', '=', manifest.name)
    .where('version', '=', manifest.version)
    .executeTakeFirst();
  if (before && before.manifestSha256 !== upload.manifestSha256) {
    throw new ProblemError(
      'release.version-taken',
      `Cannot publish ${manifest.name} ${manifest.version}: another manifest holds this version; raise the version`,
    );
  }
  for (const { metadata, text } of fresh) await putRole(db, 'root', metadata, text);
  if (targets.isNew) await putRole(db, 'targets', targets.metadata, targets.text);
  for (const [role, { metadata, text }] of delegated.fresh) await putRole(db, role, metadata, text);
  if (targets.isNew || fresh.length + delegated.fresh.size > 0) await signSnapshot(db, keys, now());
  if (before) return before;
  const row: ReleaseRow = {
    id: uuidv7(now()),
    name: manifest.name,
    version: manifest.version,
    manifestSha256: upload.manifestSha256,
    manifestJson: JSON.stringify(manifest),
    signedByJson: JSON.stringify(signer.role === 'targets' ? targets.signedBy : signer.signedBy),
    targetsVersion: targets.metadata.signed.version,
    uploadedAt: now(),
    uploadedBy: who,
  };
  await db.insertInto('releases').values(row).execute();
  await audit(db, {
    at: now(),
    who,
    action: 'release.publish',
    subject: row.id,
    detail: `${row.name} ${row.version}`,
  });
  return row;
}

async function storedManifest(
  objects: ObjectStore,
  sha256: string,
): Promise<{ manifest: Manifest; bytes: number }> {
  const name = manifestObject(sha256);
  if ((await objects.sizeOf(name)) === undefined) {
    throw new ProblemError(
      'release.manifest-missing',
      `Cannot publish: ${name} is not stored; upload it with PUT /api/v1/objects/${name}`,
    );
  }
  const bytes = await readFile(objects.pathOf(name));
  const checked = checkManifest(parseJson(bytes.toString('utf8')));
  if (!checked.ok) {
    throw new ProblemError(
      'release.manifest-malformed',
      `Cannot read the manifest: ${checked.faults.join('; ')}`,
    );
  }
  return { manifest: checked.value, bytes: bytes.length };
}

async function checkBlobs(objects: ObjectStore, manifest: Manifest): Promise<void> {
  const faults = new Set<string>();
  for (const { verity, size } of blobsIn(manifest)) {
    const stored = await objects.sizeOf(blobObject(verity));
    if (stored === undefined) faults.add(blobObject(verity));
    else if (stored !== size)
      faults.add(`${blobObject(verity)} (has ${stored} bytes, the manifest says ${size})`);
  }
  if (faults.size === 0) return;
  throw new ProblemError(
    'release.blobs-missing',
    `Cannot publish: image data is missing; upload ${[...faults].join(', ')}`,
  );
}

/** The role that names a release: targets, or the first that they delegate its path to and that names it. */
function signerOf(
  targets: SignedRole<'targets'>,
  delegated: ReadonlyMap<string, { metadata: SignedRole<'targets'> }>,
  path: string,
): { role: string; metadata: SignedRole<'targets'>; signedBy: string[] } {
  const own = { role: 'targets', metadata: targets, signedBy: [] };
  if (targets.signed.targets[path]) return own;
  const named = delegationsOf(targets).find(
    (role) => isDelegated(role, path) && delegated.get(role.name)?.metadata.signed.targets[path],
  );
  const metadata = named && delegated.get(named.name)?.metadata;
  if (!named || !metadata) return own;
  return { role: named.name, metadata, signedBy: signersOf(targets, named.name, metadata) };
}

/** The signed targets must name exactly this manifest: the one link between signatures and content. */
function checkTarget(
  targets: SignedRole<'targets'>,
  manifest: Manifest,
  sha256: string,
  bytes: number,
): void {
  const path = targetPath(manifest.name, manifest.version);
  const target = targets.signed.targets[path];
  if (target?.hashes['sha256'] === sha256 && target.length === bytes) return;
  throw new ProblemError(
    'release.target-mismatch',
    target
      ? `Cannot publish: the signed targets give ${path} another sha256 or length than ${sha256}, ${bytes} bytes; sign this manifest`
      : `Cannot publish: the signed targets do not name ${path}; sign this release`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
