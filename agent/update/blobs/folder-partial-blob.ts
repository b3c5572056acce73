import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from '../../../protocol/durable-file.ts';
import { leafOf, PIECE_BYTES } from '../../../protocol/fsverity.ts';
import type { PartialBlob } from '../ports.ts';
import { BlobCorrupt } from './blob-corrupt.ts';
import { PieceMap } from './piece-map.ts';

/** Bytes written between two syncs: what a power cut may cost at most. */
const SYNC_BYTES = 4 * 1024 * 1024;
const LEAF_BYTES = 32;

export interface BlobFiles {
  partial: string;
  pieces: string;
  whole: string;
}

/** One blob on its way to disk. Pieces count as held only after fdatasync, then the map, in that order. */
export class FolderPartialBlob implements PartialBlob {
  readonly #verity: string;
  readonly #size: number;
  readonly #leaves: Buffer;
  readonly #files: BlobFiles;
  readonly #file: FileHandle;
  readonly #held: PieceMap;
  #unsyncedBytes = 0;
  /** Writes and syncs one after the other: a map must never name a piece that came after its sync began. */
  #turn: Promise<void> = Promise.resolve();

  private constructor(
    verity: string,
    size: number,
    leaves: Buffer,
    files: BlobFiles,
    file: FileHandle,
    held: PieceMap,
  ) {
    this.#verity = verity;
    this.#size = size;
    this.#leaves = leaves;
    this.#files = files;
    this.#file = file;
    this.#held = held;
  }

  static async open(
    verity: string,
    size: number,
    leaves: Buffer,
    files: BlobFiles,
  ): Promise<FolderPartialBlob> {
    const file = await open(files.partial, 'r+').catch(() => undefined);
    const count = leaves.length / LEAF_BYTES;
    // Without its data a map means nothing, also for the next who finds the two.
    if (!file) await rm(files.pieces, { force: true });
    const held = file ? await PieceMap.read(files.pieces, count) : new PieceMap(count);
    const opened = file ?? (await open(files.partial, 'w+', 0o600));
    await opened.truncate(size);
    return new FolderPartialBlob(verity, size, leaves, files, opened, held);
  }

  missing(): number[] {
    return this.#held.missing();
  }

  async write(piece: number, data: Buffer): Promise<boolean> {
    if (data.length !== this.#lengthOf(piece) || !this.#matches(piece, data)) return false;
    const turn = this.#turn.then(() => this.#store(piece, data));
    this.#turn = turn.catch(() => {});
    await turn;
    return true;
  }

  async finish(): Promise<void> {
    await this.#turn;
    await this.#file.sync();
    if (this.missing().length > 0 || !(await this.#isIntact())) {
      await this.#file.close();
      await this.#discard();
      throw new BlobCorrupt(this.#verity);
    }
    await this.#file.chmod(0o444);
    await this.#file.close();
    await rename(this.#files.partial, this.#files.whole);
    await rm(this.#files.pieces, { force: true });
    await syncFolder(dirname(this.#files.whole));
  }

  async close(): Promise<void> {
    await this.#turn;
    try {
      if (this.#unsyncedBytes > 0) await this.#sync();
    } finally {
      await this.#file.close();
    }
  }

  async #store(piece: number, data: Buffer): Promise<void> {
    await this.#file.write(data, 0, data.length, piece * PIECE_BYTES);
    this.#held.add(piece);
    this.#unsyncedBytes += data.length;
    if (this.#unsyncedBytes >= SYNC_BYTES) await this.#sync();
  }

  async #sync(): Promise<void> {
    await this.#file.datasync();
    await this.#held.write(this.#files.pieces);
    this.#unsyncedBytes = 0;
  }

  async #isIntact(): Promise<boolean> {
    const buffer = Buffer.allocUnsafe(Math.min(PIECE_BYTES, this.#size));
    for (let piece = 0; piece * LEAF_BYTES < this.#leaves.length; piece++) {
      const length = this.#lengthOf(piece);
      const { bytesRead } = await this.#file.read(buffer, 0, length, piece * PIECE_BYTES);
      if (bytesRead !== length || !this.#matches(piece, buffer.subarray(0, length))) return false;
    }
    return true;
  }

  async #discard(): Promise<void> {
    await rm(this.#files.pieces, { force: true });
    await rm(this.#files.partial, { force: true });
  }

  #lengthOf(piece: number): number {
    return Math.min(PIECE_BYTES, this.#size - piece * PIECE_BYTES);
  }

  #matches(piece: number, data: Buffer): boolean {
    const leaf = this.#leaves.subarray(piece * LEAF_BYTES, (piece + 1) * LEAF_BYTES);
    return leafOf(data, this.#size).equals(leaf);
  }
}
