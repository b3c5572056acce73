import { gzipSync, zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import type { Compression } from '../core/media-types.ts';
import { ReleaseError } from '../errors.ts';
import { decompressed } from './decompressed.ts';

const MIB = 1024 * 1024;
const zeros = Buffer.alloc(16 * MIB);
const frame: Record<Compression, Buffer> = {
  none: zeros,
  gzip: gzipSync(zeros),
  zstd: zstdCompressSync(zeros),
};

/** A disk image of nothing, `frames` times 16 MiB, as a file system gives it. */
async function take(compression: Compression, frames: number) {
  let [read, given] = [0, 0];
  const stored = async function* () {
    for (let i = 0; i < frames; i++) {
      read += frame[compression].length;
      yield frame[compression];
    }
  };
  try {
    for await (const data of decompressed(stored(), compression, 'layer x')) given += data.length;
    return { given, read, error: undefined };
  } catch (error) {
    return { given, read, error };
  }
}

test.each([
  'gzip',
  'zstd',
] as const)('%s that promises 64 GiB is refused when a quarter of a GiB has come out, and read no further', async (compression) => {
  const { given, read, error } = await take(compression, 4096);
  expect(error).toBeInstanceOf(ReleaseError);
  expect(error).toMatchObject({ code: 'image-refused' });
  expect(String(error)).toMatch(/Cannot take layer x: its first \d+ bytes decompress to more than \d+/);
  expect(given).toBeLessThanOrEqual(256 * MIB);
  expect(read).toBeLessThan(4096 * frame[compression].length);
}, 60_000);

test.each([
  'gzip',
  'zstd',
] as const)('%s of little that holds less than that is taken', async (compression) => {
  expect(await take(compression, 15)).toMatchObject({ given: 240 * MIB, error: undefined });
});

test('what is stored uncompressed is bounded by its own size', async () => {
  expect(await take('none', 20)).toMatchObject({ given: 320 * MIB, read: 320 * MIB, error: undefined });
});
