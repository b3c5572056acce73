import { promisify } from 'node:util';
import { brotliCompressSync, brotliDecompress, constants } from 'node:zlib';
import { DeltaMalformed } from './delta-malformed.ts';
import { SEGMENT_BYTES } from './table.ts';

const decompress = promisify(brotliDecompress);
const WINDOW_BITS = Math.log2(SEGMENT_BYTES);
/** zstd's levels from here on are for who has time. */
const THOROUGH_LEVEL = 16;

/** Models what zstd has no models for: bytes of code, and residues that are mostly zero. Blocks the thread. */
export function encodeBrotli(data: Buffer, level: number): Buffer {
  return brotliCompressSync(data, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: level < THOROUGH_LEVEL ? 9 : 11,
      [constants.BROTLI_PARAM_LGWIN]: WINDOW_BITS,
      [constants.BROTLI_PARAM_SIZE_HINT]: data.length,
    },
  });
}

/** Exactly `bytes` bytes, or DeltaMalformed. Off the main thread. */
export async function decodeBrotli(body: Buffer, bytes: number): Promise<Buffer> {
  if (windowBits(body[0] ?? 0) > WINDOW_BITS)
    throw new DeltaMalformed('a stream asks for more memory than a segment has');
  const out = await decompress(body, {
    maxOutputLength: Math.max(1, bytes),
    chunkSize: Math.max(64, bytes + 1),
  }).catch((error: Error) => {
    throw new DeltaMalformed(`a stream does not decompress: ${error.message}`);
  });
  if (out.length !== bytes) throw new DeltaMalformed(`a stream gives ${out.length} bytes; wanted ${bytes}`);
  return out;
}

/** RFC 7932, 9.1: the decoder allocates as much as the window. Infinity for the large windows that are no part of it. */
function windowBits(first: number): number {
  if ((first & 1) === 0) return 16;
  const large = (first >> 1) & 7;
  if (large !== 0) return 17 + large;
  const small = (first >> 4) & 7;
  if (small === 0) return 17;
  return small === 1 ? Number.POSITIVE_INFINITY : 8 + small;
}
