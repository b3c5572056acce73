import type { Readable, Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import type { Compression } from '../core/media-types.ts';
import { ReleaseError } from '../errors.ts';

/** So much may come of a few bytes: a small layer with a large file of zeros is nothing strange. */
const FREE_BYTES = 256 * 1024 * 1024;
/** Beyond that, so many times what was read until then. Real layers are some two to ten times; a bomb is a thousand. */
const MOST_TIMES = 100;

/**
 * Passes stored bytes through a decompressor. An error of either side ends both. Throws ReleaseError `image-refused` as
 * soon as more came out than real content gives: whoever writes it down has not written much by then. `what` is for the
 * message.
 */
export async function* decompressed(
  stored: AsyncIterable<Uint8Array>,
  compression: Compression,
  what: string,
): AsyncGenerator<Uint8Array> {
  if (compression === 'none') {
    yield* stored;
    return;
  }
  const inflate: Transform = compression === 'gzip' ? createGunzip() : createZstdDecompress();
  let [read, given] = [0, 0];
  let isRefused = false;
  const counted = async function* () {
    for await (const data of stored) {
      if (isRefused) return;
      read += data.length;
      yield data;
    }
  };
  const feeding = feed(counted(), inflate);
  for await (const data of inflate as Readable as AsyncIterable<Uint8Array>) {
    given += data.length;
    isRefused = given > FREE_BYTES && given > read * MOST_TIMES;
    if (isRefused) throw bomb(what, read, given);
    yield data;
  }
  const failure = await feeding;
  if (failure) throw failure;
}

const bomb = (what: string, read: number, given: number): ReleaseError =>
  new ReleaseError(
    'image-refused',
    `Cannot take ${what}: its first ${read} bytes decompress to more than ${given}; store a layer of so much nothing uncompressed`,
  );

/** Reads the stored bytes to their end, also past the compressed stream's, so that their digest is always checked. */
async function feed(stored: AsyncIterable<Uint8Array>, inflate: Transform): Promise<Error | undefined> {
  try {
    for await (const data of stored) {
      if (!inflate.destroyed && !inflate.write(data)) await drained(inflate);
    }
    inflate.end();
    return undefined;
  } catch (error) {
    inflate.destroy(error as Error);
    return error as Error;
  }
}

const drained = (stream: Transform): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done).off('close', done);
      resolve();
    };
    stream.on('drain', done).on('close', done);
  });
