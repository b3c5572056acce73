import { Aligner } from './aligner.ts';
import { ContentIndex } from './content-index.ts';
import { encodeDifference } from './difference.ts';
import { compressSegment } from './segment.ts';
import {
  type BlockRange,
  coveredBytes,
  DELTA_BLOCK_BYTES,
  encodeEntry,
  SEGMENT_BYTES,
  type SegmentKind,
  segmentCount,
  segmentLength,
  WINDOW_BYTES,
} from './table.ts';

/** A blob that can be read anywhere. */
export interface BlobBytes {
  bytes: number;
  /** Exactly `length` bytes, or it throws. */
  read(position: number, length: number): Buffer;
}

/** Anchors begin so many bytes before a place. */
const LEAD_BYTES = 32;
/** A quick look at what a segment weighs without an old blob. */
const QUICK_LEVEL = 3;
/** What comes this close to the quick look is held against a thorough one. */
const CLOSE = 0.8;
/** A patch of this level tells what a thorough one would come to. */
const FIRST_LEVEL = 9;
/** A difference so much smaller than it is smaller than a thorough patch too. */
const CLEAR = 0.75;
/** A smaller patch of that level is not tried to be bettered by a difference. */
const WORTH_ALIGNING = 8 * 1024;

export interface EncodedSegment {
  entry: Buffer;
  body: Buffer;
  /** About what it would weigh for a device that holds nothing. */
  plainBytes: number;
}

/** The segments of `next` in order, each as small as a level and an old blob allow. Blocks the thread. */
export function* encodeSegments(
  next: BlobBytes,
  old: BlobBytes | undefined,
  level: number,
): Generator<EncodedSegment> {
  const against = old && { old, index: indexOf(old), aligner: new Aligner() };
  for (let segment = 0; segment < segmentCount(next.bytes); segment++) {
    const position = segment * SEGMENT_BYTES;
    const data = next.read(position, segmentLength(segment, next.bytes));
    yield against ? encodeAgainst(against, data, position, level) : encodeAlone(data, level);
  }
}

export function indexOf(blob: BlobBytes): ContentIndex {
  const index = new ContentIndex(blob.bytes);
  for (let position = 0; position < blob.bytes; position += SEGMENT_BYTES) {
    const lead = Math.min(LEAD_BYTES, position);
    const length = Math.min(SEGMENT_BYTES, blob.bytes - position);
    index.add(blob.read(position - lead, lead + length), lead, position);
  }
  return index;
}

interface OldSide {
  old: BlobBytes;
  index: ContentIndex;
  aligner: Aligner;
}

function encodeAgainst(
  { old, index, aligner }: OldSide,
  data: Buffer,
  position: number,
  level: number,
): EncodedSegment {
  const { shift, ranges } = index.likenessOf(data, position, WINDOW_BYTES);
  const quick = compressSegment(data, QUICK_LEVEL).length;
  for (const place of [position, position + (shift ?? 0)]) {
    const copied = copyAt(old, data, place);
    if (copied) return segmentOf('copy', Buffer.alloc(0), copied, quick);
  }
  if (coveredBytes(ranges, old.bytes) === 0) return encodeAlone(data, level);
  const window = readRanges(old, ranges);
  const firstLevel = Math.min(level, FIRST_LEVEL);
  const firstPatch = compressSegment(data, firstLevel, window);
  const difference =
    firstPatch.length < WORTH_ALIGNING
      ? undefined
      : encodeDifference(data, { old: window, ranges }, level, aligner);
  if (difference && difference.length < firstPatch.length * CLEAR)
    return segmentOf('diff', difference, ranges, quick);
  const patch = firstLevel === level ? firstPatch : compressSegment(data, level, window);
  const found = difference && difference.length < patch.length ? difference : patch;
  if (found.length > quick * CLOSE) {
    const alone = encodeAlone(data, level);
    if (alone.body.length <= found.length) return alone;
  }
  if (found.length >= data.length) return segmentOf('raw', data, [], quick);
  return segmentOf(found === patch ? 'patch' : 'diff', found, ranges, quick);
}

function encodeAlone(data: Buffer, level: number): EncodedSegment {
  const body = compressSegment(data, level);
  return body.length < data.length
    ? segmentOf('plain', body, [], body.length)
    : segmentOf('raw', data, [], data.length);
}

/** The old blocks when they hold exactly this. */
function copyAt(old: BlobBytes, data: Buffer, place: number): BlockRange[] | undefined {
  if (place < 0 || place % DELTA_BLOCK_BYTES !== 0 || place + data.length > old.bytes) return undefined;
  if (!old.read(place, data.length).equals(data)) return undefined;
  return [{ first: place / DELTA_BLOCK_BYTES, blocks: Math.ceil(data.length / DELTA_BLOCK_BYTES) }];
}

function readRanges(old: BlobBytes, ranges: readonly BlockRange[]): Buffer {
  return Buffer.concat(
    ranges.map(({ first, blocks }) => {
      const at = first * DELTA_BLOCK_BYTES;
      return old.read(at, Math.min(blocks * DELTA_BLOCK_BYTES, old.bytes - at));
    }),
  );
}

const segmentOf = (
  kind: SegmentKind,
  body: Buffer,
  ranges: readonly BlockRange[],
  plainBytes: number,
): EncodedSegment => ({ entry: encodeEntry(kind, body.length, ranges), body, plainBytes });
