import { promisify } from 'node:util';
import { constants, zstdCompressSync, zstdDecompress } from 'node:zlib';
import { DeltaMalformed } from './delta-malformed.ts';
import { SEGMENT_BYTES } from './table.ts';

const decompress = promisify(zstdDecompress);
/** A frame may ask for no more memory than its segment needs: its window is never larger than its content. */
const WINDOW_LOG = Math.log2(SEGMENT_BYTES);
/** So that the encoder reaches all of a dictionary of 4 MiB from all of a segment of 1 MiB. */
const ENCODER_WINDOW_LOG = 23;

/** zstd of one segment; with a dictionary, a patch. The frame states its size. Blocks the thread. */
export function compressSegment(segment: Buffer, level: number, dictionary?: Buffer): Buffer {
  const params = {
    [constants.ZSTD_c_compressionLevel]: level,
    ...(dictionary && { [constants.ZSTD_c_windowLog]: ENCODER_WINDOW_LOG }),
  };
  return zstdCompressSync(segment, {
    params,
    pledgedSrcSize: segment.length,
    ...(dictionary && { dictionary }),
  });
}

/** Exactly `bytes` bytes, or DeltaMalformed: never more is allocated for the result. Off the main thread. */
export async function decompressSegment(body: Buffer, bytes: number, dictionary?: Buffer): Promise<Buffer> {
  const out = await decompress(body, {
    maxOutputLength: bytes,
    // One more, or zlib would allocate as much again once the first is full.
    chunkSize: Math.max(64, bytes + 1),
    params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG },
    ...(dictionary && { dictionary }),
  }).catch((error: Error) => {
    throw new DeltaMalformed(`a segment does not decompress: ${error.message}`);
  });
  if (out.length !== bytes) throw new DeltaMalformed(`a segment gives ${out.length} bytes; wanted ${bytes}`);
  return out;
}

/**
 * Gives a buffer's memory back at once. The collector looks at what lies outside its heap too seldom: garbage of one
 * megabyte a segment would come to several times what a segment needs. Only for who is the buffer's one owner.
 */
export function discard(buffer: Buffer): void {
  const memory = buffer.buffer;
  const isWhole = memory.byteLength <= buffer.length + 1;
  if (isWhole && memory instanceof ArrayBuffer) memory.transfer(0);
}
