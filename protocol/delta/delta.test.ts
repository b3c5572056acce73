import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deltaOf as deltaBetween, noise } from '../../test/support/deltas.ts';
import { decodeSegment } from './decode.ts';
import { DeltaMalformed } from './delta-malformed.ts';
import { compressSegment, decompressSegment } from './segment.ts';
import {
  DELTA_HEADER_BYTES,
  type DeltaHeader,
  DeltaTable,
  encodeEntry,
  encodeHeader,
  parseHeader,
  SEGMENT_BYTES,
  WINDOW_BYTES,
} from './table.ts';

const DIGEST = 'ab'.repeat(32);
const sideOf = (content: Buffer) => ({ content, verity: DIGEST });
const deltaOf = (next: Buffer, old?: Buffer): Buffer => deltaBetween(sideOf(next), old && sideOf(old));
const window = Buffer.alloc(WINDOW_BYTES);

function open(delta: Buffer): { header: DeltaHeader; table: DeltaTable } {
  const header = parseHeader(delta);
  const end = DELTA_HEADER_BYTES + header.tableBytes;
  return { header, table: DeltaTable.parse(delta.subarray(DELTA_HEADER_BYTES, end), header, delta.length) };
}

async function apply(delta: Buffer, old: Buffer = Buffer.alloc(0)): Promise<Buffer> {
  const { table } = open(delta);
  const out: Buffer[] = [];
  for (let index = 0; index < table.segments; index++) {
    const segment = table.segment(index);
    const body = delta.subarray(segment.bodyAt, segment.bodyAt + segment.bodyBytes);
    const readOld = async (into: Buffer, position: number) => {
      if (old.copy(into, 0, position) !== into.length) throw new Error('past the end');
    };
    const piece = await decodeSegment(segment, body, old.length, readOld, window);
    out.push(Buffer.from(piece));
  }
  return Buffer.concat(out);
}

const edit = fc.oneof(
  fc.record({
    kind: fc.constant('insert' as const),
    at: fc.nat(),
    bytes: fc.integer({ min: 1, max: 70_000 }),
  }),
  fc.record({
    kind: fc.constant('delete' as const),
    at: fc.nat(),
    bytes: fc.integer({ min: 1, max: 70_000 }),
  }),
  fc.record({ kind: fc.constant('change' as const), at: fc.nat(), bytes: fc.integer({ min: 1, max: 300 }) }),
  fc.record({
    kind: fc.constant('move' as const),
    at: fc.nat(),
    bytes: fc.integer({ min: 1, max: 400_000 }),
  }),
);

function edited(old: Buffer, edits: readonly { kind: string; at: number; bytes: number }[]): Buffer {
  let content = Buffer.from(old);
  for (const [seed, { kind, at, bytes }] of edits.entries()) {
    const from = at % (content.length + 1);
    const [head, cut, tail] = [
      content.subarray(0, from),
      content.subarray(from, from + bytes),
      content.subarray(from + bytes),
    ];
    if (kind === 'insert') content = Buffer.concat([head, noise(bytes, seed + 1000), cut, tail]);
    else if (kind === 'delete') content = Buffer.concat([head, tail]);
    else if (kind === 'move') content = Buffer.concat([cut, head, tail]);
    else content = Buffer.concat([head, noise(cut.length, seed + 2000), tail]);
  }
  return content;
}

test('what was inserted, deleted, changed and moved comes out again, and costs little', async () => {
  const old = noise(1_300_000, 1);
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
      const next = edited(old, edits);
      const delta = deltaOf(next, old);
      expect((await apply(delta, old)).equals(next)).toBe(true);
      const fresh = edits.reduce(
        (sum, { kind, bytes }) => sum + (kind === 'insert' || kind === 'change' ? bytes : 0),
        0,
      );
      expect(delta.length).toBeLessThan(fresh + 20_000);
    }),
    { numRuns: 8 },
  );
}, 60_000);

test.each([
  ['nothing', 0, 0],
  ['one byte from nothing', 0, 1],
  ['nothing from one byte', 1, 0],
  ['one byte', 1, 1],
  ['a block and a byte', 4097, 4097],
  ['a segment', SEGMENT_BYTES, SEGMENT_BYTES],
  ['a segment and a byte from less', 100, SEGMENT_BYTES + 1],
])('%s comes out again', async (_what, oldBytes, newBytes) => {
  const [old, next] = [noise(oldBytes, 1), noise(newBytes, 2)];
  expect((await apply(deltaOf(next, old), old)).equals(next)).toBe(true);
  expect((await apply(deltaOf(next))).equals(next)).toBe(true);
});

test('an equal blob costs its table alone, wherever whole blocks of it moved', async () => {
  const old = noise(3 * SEGMENT_BYTES, 1);
  const moved = Buffer.concat([old.subarray(5 * 4096), old.subarray(0, 5 * 4096)]);
  expect(deltaOf(old, old).length).toBeLessThan(DELTA_HEADER_BYTES + 30);
  const delta = deltaOf(moved, old);
  expect(delta.length).toBeLessThan(1000);
  expect((await apply(delta, old)).equals(moved)).toBe(true);
});

test('content that has nothing in common travels as it is', async () => {
  const [old, next] = [noise(SEGMENT_BYTES, 1), noise(SEGMENT_BYTES, 2)];
  const delta = deltaOf(next, old);
  expect(open(delta).table.segment(0).kind).toBe('raw');
  expect((await apply(delta, old)).equals(next)).toBe(true);
});

const header = (change: Partial<DeltaHeader> = {}): DeltaHeader => ({
  tableBytes: 0,
  oldBytes: 10 * SEGMENT_BYTES,
  newBytes: SEGMENT_BYTES,
  oldDigest: DIGEST,
  newDigest: DIGEST,
  ...change,
});

test.each([
  ['a body larger than its segment', encodeEntry('plain', SEGMENT_BYTES + 1, [])],
  ['raw bytes fewer than its segment', encodeEntry('raw', SEGMENT_BYTES - 1, [])],
  ['a patch without old content', encodeEntry('patch', 10, [])],
  ['a patch of more old content than fits', encodeEntry('patch', 10, [{ first: 0, blocks: 1025 }])],
  ['a range past the old end', encodeEntry('patch', 10, [{ first: 2559, blocks: 2 }])],
  ['a copy of too little', encodeEntry('copy', 0, [{ first: 0, blocks: 255 }])],
  ['a copy of too much', encodeEntry('copy', 0, [{ first: 0, blocks: 257 }])],
  ['a copy with a body', encodeEntry('copy', 1, [{ first: 0, blocks: 256 }])],
  ['ranges without use', encodeEntry('plain', 10, [{ first: 0, blocks: 1 }])],
  [
    'too many ranges',
    encodeEntry(
      'patch',
      10,
      Array.from({ length: 257 }, () => ({ first: 0, blocks: 1 })),
    ),
  ],
  ['an unknown kind', Buffer.from([4, 1, 0])],
  ['a number without end', Buffer.from([1, 255, 255, 255, 255, 255, 0])],
  ['a range before the old start', Buffer.from([0, 0, 1, 3, 255, 1])],
])('a table with %s is refused', (_what, entry) => {
  const deltaBytes = DELTA_HEADER_BYTES + entry.length + 10;
  expect(() => DeltaTable.parse(entry, header({ tableBytes: entry.length }), deltaBytes)).toThrow(
    DeltaMalformed,
  );
});

test('a header that promises more than is allowed is refused before anything is allocated', () => {
  const huge = { newBytes: 2 ** 50 };
  expect(() => parseHeader(encodeHeader(header(huge)))).toThrow(/more than/);
  expect(() => parseHeader(encodeHeader(header({ tableBytes: 2 ** 31 })))).toThrow(/table/);
  // Many segments, hardly a table.
  const many = header({ newBytes: 8 * 1024 ** 3, tableBytes: 3 });
  expect(() => DeltaTable.parse(Buffer.from([2, 1, 0]), many, 100)).toThrow(/fewer entries/);
});

test('a body that grows past its segment is refused, and so is one that stops short of it', async () => {
  const bomb = zstdCompressSync(Buffer.alloc(200 * SEGMENT_BYTES));
  await expect(decompressSegment(bomb, SEGMENT_BYTES)).rejects.toThrow(DeltaMalformed);
  const manyFrames = Buffer.concat(
    Array.from({ length: 50 }, () => compressSegment(Buffer.alloc(100_000), 3)),
  );
  await expect(decompressSegment(manyFrames, SEGMENT_BYTES)).rejects.toThrow(DeltaMalformed);
  await expect(decompressSegment(compressSegment(noise(100, 1), 3), 101)).rejects.toThrow(DeltaMalformed);
});

test('a delta with any byte changed gives a refusal or some bytes, never a crash nor more bytes', async () => {
  const old = noise(1_300_000, 1);
  const next = edited(old, [
    { kind: 'change', at: 5000, bytes: 200 },
    { kind: 'insert', at: 9, bytes: 5000 },
  ]);
  const good = deltaOf(next, old);
  const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 4,
  });
  await fc.assert(
    fc.asyncProperty(damage, fc.boolean(), async (changes, isInFront) => {
      const bad = Buffer.from(good);
      for (const [at, byte] of changes) bad[at % (isInFront ? 140 : bad.length)] = byte;
      const outcome = await apply(bad, old).then(
        ({ length }) => length === parseHeader(bad).newBytes,
        // An old size that is not true is found when the old blob ends.
        (error: unknown) => /it is malformed|past the end/.test(String(error)),
      );
      expect(outcome).toBe(true);
    }),
    { numRuns: 200 },
  );
}, 30_000);
