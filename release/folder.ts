import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '../protocol/canonical.ts';
import { checkManifest, type Manifest } from '../protocol/manifest.ts';
import { messageOf, ReleaseError } from './errors.ts';
import { readIfPresent } from './files.ts';
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

/** Metadata texts as signed; `targets` undefined when the release is not signed. Roots ascend. */
export async function readMetadata(dir: string): Promise<{ roots: string[]; targets: string | undefined }> {
  const files = await readdir(metadataDir(dir)).catch(() => [] as string[]);
  const versions = files.flatMap((file) => Number(/^([0-9]+)\.root\.json$/.exec(file)?.[1] ?? 0) || []);
  const roots: string[] = [];
  for (const version of versions.sort((a, b) => a - b))
    roots.push(await readFile(join(metadataDir(dir), `${version}.root.json`), 'utf8'));
  const targets = await readIfPresent(join(metadataDir(dir), 'targets.json'));
  return { roots, targets: targets?.toString('utf8') };
}
