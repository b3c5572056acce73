import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CHUNK_HEADER_BYTES, decodeBitmap, decodeChunk, encodeBitmap, encodeChunk } from './chunk-frame.ts';
import { LIMITS } from './limits.ts';

const chunkBytes = LIMITS.minChunkBytes;
const frame = (payload: Buffer, index: number, objectBytes: number) => ({
  request: 7,
  index,
  chunkBytes,
  objectBytes,
  payload,
});

test('a full and a last, shorter chunk come back as they were sent', () => {
  for (const sent of [
    frame(Buffer.alloc(chunkBytes, 1), 0, chunkBytes + 5),
    frame(Buffer.alloc(5, 2), 1, chunkBytes + 5),
  ]) {
    expect(decodeChunk(encodeChunk(sent))).toEqual(sent);
  }
});

test.each([
  ['a payload longer than the object leaves room for', frame(Buffer.alloc(6), 1, chunkBytes + 5)],
  ['a payload that is too short', frame(Buffer.alloc(4), 1, chunkBytes + 5)],
  ['an index past the end', frame(Buffer.alloc(chunkBytes), 2, chunkBytes + 5)],
  ['a chunk size below the least', { ...frame(Buffer.alloc(1), 0, 1), chunkBytes: 1 }],
  ['a chunk size above the most', { ...frame(Buffer.alloc(1), 0, 1), chunkBytes: LIMITS.maxChunkBytes + 1 }],
  ['an object larger than any blob', frame(Buffer.alloc(chunkBytes), 0, LIMITS.blobBytes + 1)],
])('%s is not a frame', (_what, bad) => {
  expect(decodeChunk(encodeChunk(bad))).toBeUndefined();
});

test('no bytes a server can send make the decoder throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const decoded = decodeChunk(Buffer.from(bytes));
      expect(decoded === undefined || decoded.payload.length === bytes.length - CHUNK_HEADER_BYTES).toBe(
        true,
      );
    }),
  );
});

test('a bitmap gives back exactly the chunks it was made of', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1e6 }),
      fc.uniqueArray(fc.integer({ min: 0, max: LIMITS.chunksPerGet - 1 }), { minLength: 1 }),
      (base, offsets) => {
        const indexes = offsets.map((offset) => base + offset).sort((a, b) => a - b);
        const { first, bitmap } = encodeBitmap(indexes);
        expect(decodeBitmap(first, bitmap)).toEqual(indexes);
      },
    ),
  );
});

test('an empty or over-wide bitmap is refused', () => {
  expect(decodeBitmap(0, '')).toBeUndefined();
  expect(decodeBitmap(0, Buffer.alloc(8).toString('base64'))).toBeUndefined();
  expect(decodeBitmap(0, Buffer.alloc(LIMITS.chunksPerGet / 8 + 1, 1).toString('base64'))).toBeUndefined();
});
