import { type BlobBytes, indexOf } from './encode.ts';
import { SEGMENT_BYTES, segmentCount, segmentLength } from './table.ts';

/** So many segments of the new blob are looked at. */
const SAMPLES = 16;

/** Which old blob has most of the new one's content: its place in `olds`; undefined when there are none. */
export function likestOf(next: BlobBytes, olds: readonly BlobBytes[]): number | undefined {
  let best: { at: number; share: number } | undefined;
  for (const [at, old] of olds.entries()) {
    const share = olds.length === 1 ? 1 : shareOf(next, old);
    if (!best || share > best.share) best = { at, share };
  }
  return best?.at;
}

function shareOf(next: BlobBytes, old: BlobBytes): number {
  const index = indexOf(old);
  const count = segmentCount(next.bytes);
  const step = Math.max(1, Math.floor(count / SAMPLES));
  let sum = 0;
  for (let segment = 0; segment < count; segment += step) {
    const position = segment * SEGMENT_BYTES;
    sum += index.likenessOf(next.read(position, segmentLength(segment, next.bytes)), position, 0).share;
  }
  return sum;
}
