import { createHash } from 'node:crypto';
import { link, mkdir, readFile, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder, writeSynced } from '../protocol/durable-file.ts';

/** Creates or replaces a file whole: a reader sees the old text or the new. Durable when it returns. */
export async function writeDurably(path: string, data: string | Uint8Array, mode = 0o644): Promise<void> {
  const partial = await writePartial(path, data, mode);
  await rename(partial, path);
  await syncFolder(dirname(path));
}

/** Creates a file; throws EEXIST when it is there already. Durable when it returns. */
export async function createDurably(path: string, data: string | Uint8Array, mode = 0o644): Promise<void> {
  const partial = await writePartial(path, data, mode);
  try {
    await link(partial, path);
  } finally {
    await unlink(partial);
  }
  await syncFolder(dirname(path));
}

/** Named for the process: two builds may write the same cache entry at one time. */
async function writePartial(path: string, data: string | Uint8Array, mode: number): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  const partial = `${path}.${process.pid}.partial`;
  await writeSynced(partial, data, mode);
  return partial;
}

/** Undefined when there is no such file. */
export async function readIfPresent(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

export const isErrno = (error: unknown, code: string): boolean =>
  error instanceof Error && (error as NodeJS.ErrnoException).code === code;

/** Passes bytes through and keeps their sha256 and count. */
export async function* digesting(
  source: AsyncIterable<Uint8Array>,
  done: (sha256: string, bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const data of source) {
    hash.update(data);
    bytes += data.length;
    yield data;
  }
  done(hash.digest('hex'), bytes);
}
