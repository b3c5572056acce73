import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile, syncFolder } from '../../protocol/durable-file.ts';
import { verityOf } from '../../protocol/fsverity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { leavesObject } from '../../protocol/objects.ts';
import { ProblemError } from '../problems.ts';

const UPLOAD = /^(blob|manifest)-([0-9a-f]{64})$/;

/** Content-addressed files: a name, once it is there, holds exactly what it says. */
export interface ObjectStore {
  /** Size in bytes, or undefined when it is not stored. */
  sizeOf(name: string): Promise<number | undefined>;
  /**
   * Stores `blob-…` (its leaves beside it) or `manifest-…`; durable when it returns. Refuses, and keeps nothing of,
   * what is not the content its name says. `isNew` is false when it was stored before.
   */
  put(name: string, content: AsyncIterable<Uint8Array>): Promise<{ isNew: boolean }>;
  pathOf(name: string): string;
  /** A stored object whose name begins so. */
  named(beginning: string): Promise<string | undefined>;
}

/** A folder of objects; half-done uploads of an earlier run are removed. */
export async function openObjectFolder(folder: string): Promise<ObjectStore> {
  const uploads = join(folder, 'uploads');
  await mkdir(uploads, { recursive: true });
  for (const left of await readdir(uploads)) await rm(join(uploads, left), { force: true });
  const pathOf = (name: string) => join(folder, name);
  const sizeOf = async (name: string) => {
    try {
      return (await stat(pathOf(name))).size;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  };
  return {
    pathOf,
    sizeOf,
    named: async (beginning) => (await readdir(folder)).find((name) => name.startsWith(beginning)),
    put: async (name, content) => {
      const [, kind, digest] = UPLOAD.exec(name) ?? [];
      if (!kind || !digest) {
        throw new ProblemError(
          'object.name-refused',
          `Cannot store "${name}": only blob-<fs-verity digest> and manifest-<sha256> are uploaded`,
        );
      }
      if ((await sizeOf(name)) !== undefined) return { isNew: false };
      const temporary = join(uploads, randomUUID());
      try {
        const tree = await verityOf(
          save(temporary, content, kind === 'blob' ? LIMITS.blobBytes : LIMITS.manifestBytes),
        );
        const found = kind === 'blob' ? tree.digest : tree.sha256;
        if (found !== digest) {
          throw new ProblemError(
            'object.digest-mismatch',
            `Cannot store ${name}: the content's ${kind === 'blob' ? 'fs-verity digest' : 'sha256'} is ${found}; nothing was kept`,
          );
        }
        // Leaves first: a blob that is there always has them.
        if (kind === 'blob') await replaceFile(pathOf(leavesObject(digest)), tree.leaves, 0o644);
        await rename(temporary, pathOf(name));
        await syncFolder(folder);
        return { isNew: true };
      } finally {
        await rm(temporary, { force: true });
      }
    },
  };
}

/** Passes the content on while it writes it; the file is on disk when the last piece was taken. */
async function* save(path: string, content: AsyncIterable<Uint8Array>, mostBytes: number) {
  const file = await open(path, 'wx', 0o644);
  let bytes = 0;
  try {
    for await (const piece of content) {
      bytes += piece.length;
      if (bytes > mostBytes)
        throw new ProblemError(
          'object.too-large',
          `Cannot store the object: at most ${mostBytes} bytes are taken`,
        );
      await file.write(piece);
      yield piece;
    }
    await file.sync();
  } finally {
    await file.close();
  }
}
