import { constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import { type DeltaOffer, parseOfferName } from '../../../protocol/delta/offer.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import { blobObject, isObjectName } from '../../../protocol/objects.ts';
import type { ChunkSource } from '../ports.ts';
import { aborted, SourceError } from './source-error.ts';

/** No link is followed and no pipe waited for: the folder may come from anybody's stick. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Objects as files of their own names in one folder: a stick, a read-only medium, a mirror on disk. */
export class FolderSource implements ChunkSource {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async read(object: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    if (await this.#makesOfferVain(object)) return Buffer.from(JSON.stringify(NO_OFFER));
    return this.#with(object, signal, async (file, bytes) => {
      if (bytes > maxBytes)
        throw new SourceError(
          'too-large',
          `Cannot read ${object}: it has ${bytes} bytes; at most ${maxBytes} are taken`,
        );
      return readAt(file, object, 0, bytes);
    });
  }

  async fetch(
    object: string,
    chunks: readonly number[],
    onChunk: (index: number, payload: Buffer) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#with(object, signal, async (file, bytes) => {
      for (const index of chunks) {
        if (signal.aborted) throw aborted(object);
        const at = index * LIMITS.chunkBytes;
        if (at >= bytes)
          throw new SourceError('rejected', `Cannot fetch ${object}: it ends before chunk ${index}`);
        await onChunk(index, await readAt(file, object, at, Math.min(LIMITS.chunkBytes, bytes - at)));
      }
    });
  }

  /** A blob that is here whole needs no delta from elsewhere, unless one is here too. */
  async #makesOfferVain(object: string): Promise<boolean> {
    const wanted = parseOfferName(object);
    if (!wanted || (await isThere(join(this.#folder, object)))) return false;
    return isThere(join(this.#folder, blobObject(wanted.digest)));
  }

  async #with<T>(
    object: string,
    signal: AbortSignal,
    use: (file: FileHandle, bytes: number) => Promise<T>,
  ): Promise<T> {
    if (signal.aborted) throw aborted(object);
    if (!isObjectName(object)) throw unknown(object, this.#folder);
    const file = await open(join(this.#folder, object), FLAGS).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'ENOENT' ? unknown(object, this.#folder) : unreadable(object, error);
    });
    try {
      const stat = await file.stat();
      if (!stat.isFile()) throw unknown(object, this.#folder);
      return await use(file, stat.size);
    } finally {
      await file.close();
    }
  }
}

const NO_OFFER: DeltaOffer = { v: 1, state: 'none' };
const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    (stat) => stat.isFile(),
    () => false,
  );

async function readAt(file: FileHandle, object: string, at: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  // A stick that is pulled out answers with EIO: the source failed, not the release.
  const { bytesRead } = await file.read(buffer, 0, length, at).catch((error: Error) => {
    throw unreadable(object, error);
  });
  if (bytesRead !== length)
    throw new SourceError('rejected', `Cannot read ${object}: it ends at ${at + bytesRead}`);
  return buffer;
}

const unknown = (object: string, folder: string): SourceError =>
  new SourceError('unknown-object', `Cannot read ${object}: ${folder} does not hold it`);
const unreadable = (object: string, cause: Error): SourceError =>
  new SourceError('unreachable', `Cannot read ${object}: ${cause.message}`, { cause });
