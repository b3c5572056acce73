import { constants, zstdCompressSync } from 'node:zlib';
import type { BlobBytes } from './encode.ts';

const SLICES = 64;
const SLICE_BYTES = 64 * 1024;
/** A blob whose sample shrinks by less will not shrink by the tenth that makes it worth while. */
const LEAST_GAIN = 0.03;

/** Would compressing this blob be in vain? Judged by slices spread over it; a small one is simply tried. */
export function isDense(blob: BlobBytes): boolean {
  if (blob.bytes < 4 * SLICES * SLICE_BYTES) return false;
  const stride = (blob.bytes - SLICE_BYTES) / (SLICES - 1);
  const params = { [constants.ZSTD_c_compressionLevel]: 1 };
  let bytes = 0;
  for (let at = 0; at < SLICES; at++)
    bytes += zstdCompressSync(blob.read(Math.floor(at * stride), SLICE_BYTES), { params }).length;
  return bytes > SLICES * SLICE_BYTES * (1 - LEAST_GAIN);
}
