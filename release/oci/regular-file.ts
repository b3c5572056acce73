import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** A pipe would be waited for and a device has no end: neither is read. */
export async function openRegular(path: string): Promise<FileHandle> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw new Error('it is no regular file');
}

/** A whole small file, whatever its size was said to be. Throws RangeError past `maxBytes`. */
export async function readRegular(path: string, maxBytes: number): Promise<Buffer> {
  const handle = await openRegular(path);
  try {
    const { size } = await handle.stat();
    if (size > maxBytes) throw new RangeError(`it has ${size} bytes; wanted at most ${maxBytes}`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

export async function* readStored(path: string): AsyncGenerator<Uint8Array> {
  const handle = await openRegular(path);
  yield* handle.createReadStream();
}
