import { mkdir, readdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../../../protocol/durable-file.ts';
import { digestOfLeaves, leafCount, PIECE_BYTES } from '../../../protocol/fsverity.ts';
import type { BlobStore, PartialBlob } from '../ports.ts';
import { type BlobFiles, FolderPartialBlob } from './folder-partial-blob.ts';
import { PieceMap } from './piece-map.ts';

const FILE = /^([0-9a-f]{64})\.(?:erofs|part|pieces|pieces\.new)$/;

/** Blobs as files of one folder: `<verity>.erofs` whole; `<verity>.part` and `.pieces` on the way. */
export class FolderBlobStore implements BlobStore {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(folder: string): Promise<FolderBlobStore> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return new FolderBlobStore(folder);
  }

  async has(verity: string, size: number): Promise<boolean> {
    const found = await stat(this.pathOf(verity)).catch(() => undefined);
    return found?.isFile() === true && found.size === size;
  }

  async resume(verity: string, size: number, leaves: Buffer): Promise<PartialBlob> {
    if (leaves.length !== leafCount(size) * 32 || digestOfLeaves(leaves, size) !== verity)
      throw new Error(`Cannot begin blob ${verity.slice(0, 12)}: the leaves given are not the signed ones`);
    return FolderPartialBlob.open(verity, size, leaves, this.#filesOf(verity));
  }

  pathOf(verity: string): string {
    return this.#filesOf(verity).whole;
  }

  async partialBytes(verity: string, size: number): Promise<number> {
    const { partial, pieces } = this.#filesOf(verity);
    if (!(await stat(partial).catch(() => undefined))) return 0;
    const count = leafCount(size);
    const missing = (await PieceMap.read(pieces, count)).missing();
    const tail = count * PIECE_BYTES - size;
    const missingBytes = missing.length * PIECE_BYTES - (missing.at(-1) === count - 1 ? tail : 0);
    return size - missingBytes;
  }

  async collect(keep: ReadonlySet<string>): Promise<number> {
    let freed = 0;
    const names = new Set(await readdir(this.#folder));
    for (const name of names) {
      const verity = FILE.exec(name)?.[1];
      const whole = `${verity}.erofs`;
      // A power cut may leave the map of a download beside the blob that came of it.
      const isNeeded = verity === undefined || (keep.has(verity) && (name === whole || !names.has(whole)));
      if (isNeeded) continue;
      const path = join(this.#folder, name);
      freed += ((await stat(path).catch(() => undefined))?.blocks ?? 0) * 512;
      await rm(path, { force: true });
    }
    await syncFolder(this.#folder);
    return freed;
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#folder);
    return bavail * bsize;
  }

  #filesOf(verity: string): BlobFiles {
    const base = join(this.#folder, verity);
    return { partial: `${base}.part`, pieces: `${base}.pieces`, whole: `${base}.erofs` };
  }
}
