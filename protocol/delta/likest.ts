import { type BlobBytes, indexOf } from './encode.ts';
import { SEGMENT_BYTES, segmentCount, segmentLength } from './table.ts';

/** So many segments of the new blob are looked at. */
const SAMPLES = 16;

/** Mean share of content that a dense blob must have in common with an old one for a delta to be tried. */
const LEAST_SHARE = 0.02;

/**
 * Which old blob has most of the new one's content: its place in `olds`; undefined when there are none. Of a dense
 * blob, which only an old blob can make smaller, also when none has anything of it.
 */
export function likestOf(next: BlobBytes, olds: readonly BlobBytes[], isDense: boolean): number | undefined {
  // The only one is taken unseen: its index costs as much as a good part of the delta.
  if (olds.length <= 1 && !isDense) return olds.length === 1 ? 0 : undefined;
  let best: { at: number; share: number } | undefined;
  for (const [at, old] of olds.entries()) {
    const share = shareOf(next, old);
    if (!best || share > best.share) best = { at, share };
  }
  return best && isDense && best.share < LEAST_SHARE ? undefined : best?.at;
}

function shareOf(next: BlobBytes, old: BlobBytes): number {
  const index = indexOf(old);
  const count = segmentCount(next.bytes);
  const step = Math.max(1, Math.floor(count / SAMPLES));
  let sum = 0;
  let looks = 0;
  for (let segment = 0; segment < count; segment += step) {
    const position = segment * SEGMENT_BYTES;
    sum += index.likenessOf(next.read(position, segmentLength(segment, next.bytes)), position, 0).share;
    looks++;
  }
  return looks === 0 ? 0 : sum / looks;
}
