import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '../protocol/canonical.ts';
import { checkManifest, type Manifest } from '../protocol/manifest.ts';
import { parseRole } from '../protocol/tuf.ts';
import { messageOf, ReleaseError } from './errors.ts';
import { readIfPresent, writeDurably } from './files.ts';
import { parseJson } from './oci/layout.ts';

/**
 * A release folder, as build and sign leave it:
 *   manifest.json   blobs/<verity>.erofs   metadata/{1.root.json …, targets.json}
 */
export const manifestPath = (dir: string): string => join(dir, 'manifest.json');
export const blobPath = (dir: string, verity: string): string => join(dir, 'blobs', `${verity}.erofs`);
export const metadataDir = (dir: string): string => join(dir, 'metadata');

export interface ManifestFile {
  manifest: Manifest;
  bytes: Buffer;
  sha256: string;
}

export async function readManifest(dir: string): Promise<ManifestFile> {
  const fail = (what: string, cause?: unknown): never => {
    throw new ReleaseError('folder', `Cannot read release ${manifestPath(dir)}: ${what}`, { cause });
  };
  const bytes = await readFile(manifestPath(dir)).catch((error: unknown) => fail(messageOf(error), error));
  const checked = checkManifest(parseJson(bytes.toString('utf8')));
  if (!checked.ok) return fail(checked.faults.join('; '));
  return { manifest: checked.value, bytes, sha256: sha256Hex(bytes) };
}

/** Metadata texts as signed. */
export interface MetadataTexts {
  /** Ascending. */
  roots: string[];
  /** Undefined when the release is not signed. */
  targets: string | undefined;
  /** By the name of the role that targets delegate to. */
  delegated: Record<string, string>;
}

export async function readMetadata(dir: string): Promise<MetadataTexts> {
  const files = await readdir(metadataDir(dir)).catch(() => [] as string[]);
  const versions = files.flatMap((file) => Number(/^([0-9]+)\.root\.json$/.exec(file)?.[1] ?? 0) || []);
  const roots: string[] = [];
  for (const version of versions.sort((a, b) => a - b))
    roots.push(await readFile(join(metadataDir(dir), `${version}.root.json`), 'utf8'));
  const delegated: Record<string, string> = {};
  for (const file of files) {
    const role = /^delegated\.([a-z][a-z0-9-]{0,31})\.json$/.exec(file)?.[1];
    if (role) delegated[role] = await readFile(join(metadataDir(dir), file), 'utf8');
  }
  const targets = await readIfPresent(join(metadataDir(dir), 'targets.json'));
  return { roots, targets: targets?.toString('utf8'), delegated };
}

/** Takes the place of all metadata in the folder. */
export async function writeMetadata(
  dir: string,
  { roots, targets, delegated }: MetadataTexts,
): Promise<void> {
  for (const text of roots) {
    const { version } = parseRole('root', text).signed;
    await writeDurably(join(metadataDir(dir), `${version}.root.json`), text);
  }
  const stale = Object.keys((await readMetadata(dir)).delegated).filter(
    (role) => !Object.hasOwn(delegated, role),
  );
  for (const role of stale) await rm(join(metadataDir(dir), `delegated.${role}.json`));
  for (const [role, text] of Object.entries(delegated))
    await writeDurably(join(metadataDir(dir), `delegated.${role}.json`), text);
  if (targets !== undefined) await writeDurably(join(metadataDir(dir), 'targets.json'), targets);
}
