import { decodeDifference } from './difference.ts';
import { decompressSegment } from './segment.ts';
import { DELTA_BLOCK_BYTES, type DeltaSegment, WINDOW_BYTES } from './table.ts';

/** Reads an old blob: fills `into` from a position, or throws. */
export type ReadOld = (into: Buffer, position: number) => Promise<void>;

/**
 * One segment of the new blob. `window` (WINDOW_BYTES) is used again for each: a device decodes one after the other.
 * Throws DeltaMalformed for a body that is not what its entry says, and whatever `readOld` throws.
 */
export async function decodeSegment(
  { kind, bytes, ranges }: DeltaSegment,
  body: Buffer,
  oldBytes: number,
  readOld: ReadOld,
  window: Buffer,
): Promise<Buffer> {
  switch (kind) {
    case 'raw':
      return body;
    case 'plain':
      return decompressSegment(body, bytes);
    case 'copy':
      return (await gather(ranges, oldBytes, readOld, window)).subarray(0, bytes);
    case 'patch':
      return decompressSegment(body, bytes, await gather(ranges, oldBytes, readOld, window));
    case 'diff':
      return decodeDifference(body, bytes, {
        old: await gather(ranges, oldBytes, readOld, window),
        ranges,
      });
  }
}

async function gather(
  ranges: DeltaSegment['ranges'],
  oldBytes: number,
  readOld: ReadOld,
  window: Buffer,
): Promise<Buffer> {
  let filled = 0;
  for (const { first, blocks } of ranges) {
    const at = first * DELTA_BLOCK_BYTES;
    const length = Math.min(blocks * DELTA_BLOCK_BYTES, oldBytes - at, WINDOW_BYTES - filled);
    await readOld(window.subarray(filled, filled + length), at);
    filled += length;
  }
  return window.subarray(0, filled);
}
