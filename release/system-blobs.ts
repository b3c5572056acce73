import { createReadStream } from 'node:fs';
import { copyFile, mkdir, rename, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { PARTITIONS, SECTOR } from '../boards/layout.ts';
import { verityOf } from '../protocol/fsverity.ts';
import type { Manifest, ManifestBlob } from '../protocol/manifest.ts';
import { formatBytes } from '../protocol/quantities.ts';
import type { ReleaseSource } from '../protocol/release-source.ts';
import { messageOf, ReleaseError } from './errors.ts';

export interface SystemPlaces {
  /** Folders are relative to it. */
  baseDir: string;
  tempDir: string;
  blobPath(verity: string): string;
}

type System = NonNullable<Manifest['system']>;

/** What `wherry board build` calls the two, and what a slot has room for. Bytes. */
const PARTS = {
  boot: { file: 'boot.img', room: PARTITIONS['boot-a'].sectors * SECTOR },
  root: { file: 'root.erofs', room: PARTITIONS['system-a'].sectors * SECTOR },
} as const;

/** The system of a release: what the folders of its boards hold, among the blobs by now. Throws ReleaseError. */
export async function buildSystem(
  { version, boards }: NonNullable<ReleaseSource['system']>,
  places: SystemPlaces,
): Promise<System> {
  const built: System['boards'] = {};
  for (const [board, folder] of Object.entries(boards)) {
    const from = resolve(places.baseDir, folder);
    built[board] = {
      boot: await take(board, from, 'boot', places),
      root: await take(board, from, 'root', places),
    };
  }
  return { version, boards: built };
}

/** A copy: the folder may be built anew, and what a blob holds never changes. */
async function take(
  board: string,
  folder: string,
  part: keyof typeof PARTS,
  { tempDir, blobPath }: SystemPlaces,
): Promise<ManifestBlob> {
  const { file, room } = PARTS[part];
  const path = join(folder, file);
  const refuse = (what: string, cause?: unknown): never => {
    throw new ReleaseError('source', `Cannot take the system of board "${board}": ${what}`, { cause });
  };
  const stats = await stat(path).catch((error: unknown) =>
    refuse(`${messageOf(error)}; give the folder that \`wherry board build ${board}\` has left`, error),
  );
  const { size } = stats;
  if (!stats.isFile() || size < 4096 || size % SECTOR !== 0)
    refuse(`${path} has ${size} bytes; wanted a file of at least 4096, in whole sectors of ${SECTOR}`);
  if (size > room)
    refuse(`${path} has ${formatBytes(size)}; a slot of a board has room for ${formatBytes(room)}`);
  const copy = join(tempDir, `${board}-${file}`);
  await copyFile(path, copy);
  const { digest } = await verityOf(createReadStream(copy, { highWaterMark: 1024 * 1024 }));
  await mkdir(dirname(blobPath(digest)), { recursive: true });
  await rename(copy, blobPath(digest));
  return { verity: digest, size };
}
