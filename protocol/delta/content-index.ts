import { type BlockRange, DELTA_BLOCK_BYTES, MOST_RANGES } from './table.ts';

/**
 * Where content of one blob stands in another, wherever it moved: anchors are places whose last 32 bytes hash to a
 * certain pattern, so the same content has the same anchors in both (as content-defined chunking finds its cuts).
 */
const ANCHOR_BYTES = 32;
/** At most about so many anchors of a blob are kept: 48 MiB of memory in all, and one in 64 bytes up to 128 MiB. */
const MOST_ANCHORS = 2 ** 21;
const TABLE_SLOTS = 2 ** 22;
const MOST_PROBES = 16;
/** Old content is chosen by pieces of this size. */
const BUCKET_BYTES = 4 * DELTA_BLOCK_BYTES;
/** What stands beside content that is used again is likely its changed neighbour. */
const NEIGHBOUR_SCORES = [1, 0.05, 0.025, 0.017];

/** A random number for each byte, the same everywhere: a gear hash (FastCDC) shifts them out after 32 bytes. */
const GEAR = Int32Array.from({ length: 256 }, (_, byte) => mixed(byte + 1));

function mixed(seed: number): number {
  let x = Math.imul(seed, 0x9e3779b1);
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

export interface Likeness {
  /** How far most of the segment's content has moved: old place less new place. Undefined when none is known. */
  shift: number | undefined;
  /** Old blocks that hold most of its content, ascending. */
  ranges: BlockRange[];
  /** Share of the segment's anchors that the old blob has, 0 to 1. */
  share: number;
}

export class ContentIndex {
  readonly #keys = new Int32Array(TABLE_SLOTS);
  /** Byte offset plus one; 0 = free. */
  readonly #places = new Float64Array(TABLE_SLOTS);
  readonly #bits: number;
  readonly #bytes: number;
  #held = 0;

  /** For a blob of this many bytes. */
  constructor(bytes: number) {
    this.#bytes = bytes;
    this.#bits = Math.max(6, Math.ceil(Math.log2(Math.max(1, bytes / MOST_ANCHORS))));
  }

  /** Takes the blob's bytes from `position`; `data` begins up to 32 bytes before, with what stood there. */
  add(data: Uint8Array, lead: number, position: number): void {
    this.#scan(data, lead, (key, at) => this.#put(key, position + at - lead));
  }

  /** Where a segment's content stands in the blob; at most `mostBytes` of it are named. */
  likenessOf(segment: Uint8Array, position: number, mostBytes: number): Likeness {
    const buckets = new Map<number, number>();
    const shifts = new Map<number, number>();
    let anchors = 0;
    let found = 0;
    this.#scan(segment, 0, (key, at) => {
      anchors++;
      const place = this.#find(key);
      if (place === undefined) return;
      found++;
      const bucket = Math.floor(place / BUCKET_BYTES);
      buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1);
      const shift = place - position - at;
      shifts.set(shift, (shifts.get(shift) ?? 0) + 1);
    });
    return {
      shift: mostVoted(shifts),
      ranges: this.#rangesOf(buckets, mostBytes),
      share: anchors === 0 ? 0 : found / anchors,
    };
  }

  #rangesOf(buckets: ReadonlyMap<number, number>, mostBytes: number): BlockRange[] {
    const last = Math.ceil(this.#bytes / BUCKET_BYTES) - 1;
    const scores = new Map<number, number>();
    for (const [bucket, votes] of buckets) {
      for (const [distance, share] of NEIGHBOUR_SCORES.entries()) {
        for (const near of distance === 0 ? [bucket] : [bucket - distance, bucket + distance])
          if (near >= 0 && near <= last) scores.set(near, (scores.get(near) ?? 0) + votes * share);
      }
    }
    const best = [...scores].sort(([a, x], [b, y]) => y - x || a - b);
    const chosen = best
      .slice(0, Math.min(MOST_RANGES, Math.floor(mostBytes / BUCKET_BYTES)))
      .map(([bucket]) => bucket)
      .sort((a, b) => a - b);
    return rangesOf(chosen, Math.ceil(this.#bytes / DELTA_BLOCK_BYTES));
  }

  #scan(data: Uint8Array, from: number, onAnchor: (key: number, at: number) => void): void {
    const shift = 32 - this.#bits;
    let gear = 0;
    let before = 0;
    for (let at = 0; at < data.length; at++) {
      gear = ((gear << 1) + (GEAR[data[at] as number] as number)) | 0;
      if (gear >>> shift !== 0 || at < ANCHOR_BYTES || at < from) continue;
      const key = keyOf(data, at);
      // A run of one byte would be nothing but anchors.
      if (key !== before) onAnchor(key, at);
      before = key;
    }
  }

  #put(key: number, place: number): void {
    if (this.#held > MOST_ANCHORS * 1.5) return;
    let slot = key & (TABLE_SLOTS - 1);
    for (let probe = 0; probe < MOST_PROBES; probe++) {
      if (this.#places[slot] === 0) {
        this.#keys[slot] = key;
        this.#places[slot] = place + 1;
        this.#held++;
        return;
      }
      if (this.#keys[slot] === key) return;
      slot = (slot + 1) & (TABLE_SLOTS - 1);
    }
  }

  #find(key: number): number | undefined {
    let slot = key & (TABLE_SLOTS - 1);
    for (let probe = 0; probe < MOST_PROBES; probe++) {
      const place = this.#places[slot] as number;
      if (place === 0) return undefined;
      if (this.#keys[slot] === key) return place - 1;
      slot = (slot + 1) & (TABLE_SLOTS - 1);
    }
    return undefined;
  }
}

/** FNV-1a of the 32 bytes that end at a place. */
function keyOf(data: Uint8Array, at: number): number {
  let key = 0x811c9dc5;
  for (let i = at - ANCHOR_BYTES + 1; i <= at; i++) key = Math.imul(key ^ (data[i] as number), 0x01000193);
  return mixed(key);
}

function mostVoted(votes: ReadonlyMap<number, number>): number | undefined {
  let best: number | undefined;
  for (const [value, count] of votes) if (best === undefined || count > (votes.get(best) ?? 0)) best = value;
  return best;
}

/** Ascending buckets as ranges of blocks; neighbours become one. */
function rangesOf(buckets: readonly number[], blocks: number): BlockRange[] {
  const each = BUCKET_BYTES / DELTA_BLOCK_BYTES;
  const ranges: BlockRange[] = [];
  for (const bucket of buckets) {
    const first = bucket * each;
    const count = Math.min(each, blocks - first);
    const before = ranges.at(-1);
    if (before && before.first + before.blocks === first) before.blocks += count;
    else ranges.push({ first, blocks: count });
  }
  return ranges;
}
