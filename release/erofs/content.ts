import type { FileHandle } from 'node:fs/promises';
import type { Content } from '../core/layer-node.ts';

/** Bytes of the archive that extents speak of: a tar, or an EROFS image. */
export type ReadContent = (at: number, bytes: number) => Promise<Buffer>;

/** A file's bytes from `from` on, zeros where it has holes. Throws RangeError when the archive ends before them. */
export async function readRange(
  content: Content,
  from: number,
  bytes: number,
  read: ReadContent,
): Promise<Buffer> {
  const [only] = content.extents;
  if (only && only.offset <= from && only.offset + only.bytes >= from + bytes)
    return await readWhole(only.at + from - only.offset, bytes, read);
  const range = Buffer.alloc(bytes);
  for (const extent of content.extents) {
    const start = Math.max(from, extent.offset);
    const end = Math.min(from + bytes, extent.offset + extent.bytes);
    if (start < end)
      (await readWhole(extent.at + start - extent.offset, end - start, read)).copy(range, start - from);
  }
  return range;
}

async function readWhole(at: number, bytes: number, read: ReadContent): Promise<Buffer> {
  const data = await read(at, bytes);
  if (data.length !== bytes) throw new RangeError(`the archive ends at ${at + data.length}`);
  return data;
}

export const readAtOf =
  (handle: FileHandle): ReadContent =>
  async (at, bytes) => {
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(bytes), 0, bytes, at);
    return buffer.subarray(0, bytesRead);
  };

const WINDOW_BYTES = 256 * 1024;

/** Reads through a window: what is read piece by piece stands close together. */
export function windowed(handle: FileHandle): ReadContent {
  const read = readAtOf(handle);
  let held: Buffer = Buffer.alloc(0);
  let start = 0;
  return async (at, bytes) => {
    if (at < start || at + bytes > start + held.length)
      [held, start] = [await read(at, Math.max(WINDOW_BYTES, bytes)), at];
    return held.subarray(at - start, at - start + bytes);
  };
}
