import { LIMITS } from '../limits.ts';
import { DeltaMalformed } from './delta-malformed.ts';
import { pushSigned, pushVarint, VarintReader } from './varint.ts';

/**
 * A delta turns a blob that a device holds into another, segment by segment, in any order. Nothing of it is signed:
 * what comes out is checked against the signed leaves (fsverity.ts).
 *
 *   0   "WDLT"              4   u8 version = 2      5 u24 reserved = 0
 *   8   u32 segment bytes   12  u32 table bytes
 *   16  u64 old size        24  u64 new size
 *   32  old fs-verity digest (zero: needs no old blob)
 *   64  new fs-verity digest
 *   96  table: one entry for each segment of the new blob
 *       bodies, in the table's order, without gaps
 *
 * An entry: u8 kind, varint body bytes, varint ranges, then for each range two varints: its first block of the old
 * blob (zigzag, relative to the end of the range before) and its blocks less one. Integers are big-endian, varints
 * LEB128 of at most five bytes. Everything is bounded before anything is allocated.
 */
export const DELTA_HEADER_BYTES = 96;
export const SEGMENT_BYTES = 1024 * 1024;
/** What ranges count in: EROFS lays file data out in blocks of this size, so content moves by whole ones. */
export const DELTA_BLOCK_BYTES = 4096;
/** Old content that one segment may refer to: with zstd's copy of it, what bounds a device's memory. */
export const WINDOW_BYTES = 4 * 1024 * 1024;
export const MOST_RANGES = 256;
export const MOST_TABLE_BYTES = 4 * 1024 * 1024;

const MAGIC = 0x57444c54;
/** Other versions are refused: no device keeps a delta, and what it refuses it fetches whole. */
export const DELTA_VERSION = 2;
const DIGEST = /^[0-9a-f]{64}$/;
export const NO_DIGEST = '0'.repeat(64);

/**
 * copy: the ranges, joined. patch: zstd with the ranges as its dictionary. plain: zstd alone. raw: the bytes. diff:
 * what remains when it is laid along the ranges, with the addresses in it adjusted (difference.ts).
 */
export const SEGMENT_KINDS = ['copy', 'patch', 'plain', 'raw', 'diff'] as const;
export type SegmentKind = (typeof SEGMENT_KINDS)[number];

/** Blocks of the old blob; the last block of a blob may be short. */
export interface BlockRange {
  first: number;
  blocks: number;
}

export interface DeltaHeader {
  tableBytes: number;
  oldBytes: number;
  newBytes: number;
  /** NO_DIGEST when no old blob is needed. */
  oldDigest: string;
  newDigest: string;
}

export interface DeltaSegment {
  kind: SegmentKind;
  /** Length of the segment in the new blob. */
  bytes: number;
  /** Where its body stands in the delta. */
  bodyAt: number;
  bodyBytes: number;
  ranges: BlockRange[];
}

export const segmentCount = (newBytes: number): number => Math.ceil(newBytes / SEGMENT_BYTES);
export const segmentLength = (segment: number, newBytes: number): number =>
  Math.min(SEGMENT_BYTES, newBytes - segment * SEGMENT_BYTES);

export function encodeHeader(header: DeltaHeader): Buffer {
  const out = Buffer.alloc(DELTA_HEADER_BYTES);
  out.writeUInt32BE(MAGIC, 0);
  out.writeUInt8(DELTA_VERSION, 4);
  out.writeUInt32BE(SEGMENT_BYTES, 8);
  out.writeUInt32BE(header.tableBytes, 12);
  out.writeBigUInt64BE(BigInt(header.oldBytes), 16);
  out.writeBigUInt64BE(BigInt(header.newBytes), 24);
  out.write(header.oldDigest, 32, 'hex');
  out.write(header.newDigest, 64, 'hex');
  return out;
}

/** Throws DeltaMalformed. */
export function parseHeader(bytes: Buffer): DeltaHeader {
  if (bytes.length < DELTA_HEADER_BYTES) throw new DeltaMalformed(`it ends after ${bytes.length} bytes`);
  if (bytes.readUInt32BE(0) !== MAGIC) throw new DeltaMalformed('it does not begin as one');
  if (bytes.readUInt32BE(4) !== DELTA_VERSION << 24)
    throw new DeltaMalformed(`its version is unknown; wanted version ${DELTA_VERSION}`);
  if (bytes.readUInt32BE(8) !== SEGMENT_BYTES)
    throw new DeltaMalformed(`its segments are not ${SEGMENT_BYTES} bytes`);
  const header = {
    tableBytes: bytes.readUInt32BE(12),
    oldBytes: Number(bytes.readBigUInt64BE(16)),
    newBytes: Number(bytes.readBigUInt64BE(24)),
    oldDigest: bytes.toString('hex', 32, 64),
    newDigest: bytes.toString('hex', 64, 96),
  };
  if (header.tableBytes > MOST_TABLE_BYTES)
    throw new DeltaMalformed(`its table has more than ${MOST_TABLE_BYTES} bytes`);
  if (header.oldBytes > LIMITS.blobBytes || header.newBytes > LIMITS.blobBytes)
    throw new DeltaMalformed(`a blob in it has more than ${LIMITS.blobBytes} bytes`);
  return header;
}

export const isDigest = (text: string): boolean => DIGEST.test(text);

/** One entry of the table, as bytes. */
export function encodeEntry(kind: SegmentKind, bodyBytes: number, ranges: readonly BlockRange[]): Buffer {
  const out: number[] = [SEGMENT_KINDS.indexOf(kind)];
  pushVarint(out, bodyBytes);
  pushVarint(out, ranges.length);
  let end = 0;
  for (const { first, blocks } of ranges) {
    pushSigned(out, first - end);
    pushVarint(out, blocks - 1);
    end = first + blocks;
  }
  return Buffer.from(out);
}

/** Bytes that ranges cover of an old blob of this size. */
export const coveredBytes = (ranges: readonly BlockRange[], oldBytes: number): number =>
  ranges.reduce((sum, { first, blocks }) => {
    const end = Math.min(oldBytes, (first + blocks) * DELTA_BLOCK_BYTES);
    return sum + Math.max(0, end - first * DELTA_BLOCK_BYTES);
  }, 0);

/** A checked table. Entries are read anew each time: a table of many ranges stays as small as its bytes. */
export class DeltaTable {
  readonly #table: Buffer;
  readonly #header: DeltaHeader;
  /** Where each entry stands in the table, and its body in the delta. */
  readonly #entryAt: Uint32Array;
  readonly #bodyAt: Float64Array;

  private constructor(table: Buffer, header: DeltaHeader, entryAt: Uint32Array, bodyAt: Float64Array) {
    this.#table = table;
    this.#header = header;
    this.#entryAt = entryAt;
    this.#bodyAt = bodyAt;
  }

  /** `deltaBytes` is the whole delta's size. Throws DeltaMalformed. */
  static parse(table: Buffer, header: DeltaHeader, deltaBytes: number): DeltaTable {
    if (table.length !== header.tableBytes) throw new DeltaMalformed('its table is cut short');
    const count = segmentCount(header.newBytes);
    // The smallest entry has three bytes.
    if (count * 3 > table.length) throw new DeltaMalformed('its table has fewer entries than segments');
    const entryAt = new Uint32Array(count);
    const bodyAt = new Float64Array(count);
    const reader = new EntryReader(table, header);
    let body = DELTA_HEADER_BYTES + table.length;
    for (let segment = 0; segment < count; segment++) {
      entryAt[segment] = reader.at;
      bodyAt[segment] = body;
      body += reader.read(segment).bodyBytes;
    }
    if (reader.at !== table.length) throw new DeltaMalformed('its table goes on after the last segment');
    if (body !== deltaBytes)
      throw new DeltaMalformed(`it has ${deltaBytes} bytes; wanted ${body}, as its table says`);
    return new DeltaTable(table, header, entryAt, bodyAt);
  }

  get segments(): number {
    return this.#entryAt.length;
  }

  segment(index: number): DeltaSegment {
    const reader = new EntryReader(this.#table, this.#header, this.#entryAt[index] ?? this.#table.length);
    const bodyAt = this.#bodyAt[index] ?? 0;
    return { ...reader.read(index), bytes: segmentLength(index, this.#header.newBytes), bodyAt };
  }
}

type Entry = Pick<DeltaSegment, 'kind' | 'bodyBytes' | 'ranges'>;

class EntryReader {
  readonly #numbers: VarintReader;
  readonly #header: DeltaHeader;

  constructor(bytes: Buffer, header: DeltaHeader, at = 0) {
    this.#numbers = new VarintReader(bytes, at);
    this.#header = header;
  }

  get at(): number {
    return this.#numbers.at;
  }

  read(segment: number): Entry {
    const kind = SEGMENT_KINDS[this.#numbers.byte()];
    if (!kind) throw new DeltaMalformed(`segment ${segment} is of an unknown kind`);
    const entry = { kind, bodyBytes: this.#numbers.varint(), ranges: this.#ranges(segment) };
    const fault = faultOf(entry, segmentLength(segment, this.#header.newBytes), this.#header.oldBytes);
    if (fault) throw new DeltaMalformed(`segment ${segment} ${fault}`);
    return entry;
  }

  #ranges(segment: number): BlockRange[] {
    const count = this.#numbers.varint();
    if (count > MOST_RANGES)
      throw new DeltaMalformed(`segment ${segment} has more than ${MOST_RANGES} ranges`);
    const ranges: BlockRange[] = [];
    let end = 0;
    for (let range = 0; range < count; range++) {
      const first = end + this.#numbers.signed();
      const blocks = this.#numbers.varint() + 1;
      if (first < 0 || (first + blocks - 1) * DELTA_BLOCK_BYTES >= this.#header.oldBytes)
        throw new DeltaMalformed(`segment ${segment} refers to what the old blob does not have`);
      ranges.push({ first, blocks });
      end = first + blocks;
    }
    return ranges;
  }
}

/** Undefined when an entry keeps its kind's rules. */
function faultOf({ kind, bodyBytes, ranges }: Entry, bytes: number, oldBytes: number): string | undefined {
  const covered = coveredBytes(ranges, oldBytes);
  switch (kind) {
    case 'copy':
      return bodyBytes === 0 && covered >= bytes && covered < bytes + DELTA_BLOCK_BYTES
        ? undefined
        : 'does not copy as much as it needs';
    case 'patch':
    case 'diff':
      if (covered === 0 || covered > WINDOW_BYTES)
        return `refers to more than ${WINDOW_BYTES} bytes or to none`;
      break;
    case 'plain':
    case 'raw':
      if (ranges.length > 0) return 'refers to the old blob and does not use it';
  }
  const fits = kind === 'raw' ? bodyBytes === bytes : bodyBytes > 0 && bodyBytes < bytes;
  return fits ? undefined : `has a body of ${bodyBytes} bytes for ${bytes}`;
}
