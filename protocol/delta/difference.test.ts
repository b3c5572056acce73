import fc from 'fast-check';
import { expect, test } from 'vitest';
import { noise } from '../../test/support/deltas.ts';
import { Aligner } from './aligner.ts';
import { DeltaMalformed } from './delta-malformed.ts';
import { decodeDifference, encodeDifference } from './difference.ts';
import { addRuns, encodeRuns, subtractRuns } from './runs.ts';
import { compressSegment } from './segment.ts';

const aligner = new Aligner();

/** As a compiler leaves it: an address every now and then, all of them moved by as much. */
function code(bytes: number, moved: number): Buffer {
  const out = Buffer.from(noise(bytes, 1));
  for (let at = 20; at + 4 <= bytes; at += 24 + (at % 13)) out.writeInt32LE((at * 3 + moved) | 0, at);
  return out;
}

/** Few values, so that stretches are equal by chance and runs compete. */
const content = fc
  .uint8Array({ minLength: 1, maxLength: 600 })
  .map((bytes) => Buffer.from(bytes.map((byte) => byte % 3)));

test('runs ascend, stay inside both sides, and give the content again', () => {
  fc.assert(
    fc.property(content, content, fc.nat({ max: 300 }), (old, other, at) => {
      const next = Buffer.concat([old.subarray(at), other, old.subarray(0, at)]);
      const runs = aligner.align(old, next);
      let end = 0;
      for (const run of runs) {
        expect(run.at).toBeGreaterThanOrEqual(end);
        expect(run.length).toBeGreaterThan(0);
        expect(run.from).toBeGreaterThanOrEqual(0);
        expect(run.from + run.length).toBeLessThanOrEqual(old.length);
        end = run.at + run.length;
      }
      expect(end).toBeLessThanOrEqual(next.length);
      const data = subtractRuns(next, old, runs);
      addRuns(data, old, encodeRuns(runs));
      expect(data.equals(next)).toBe(true);
    }),
    { numRuns: 60 },
  );
}, 30_000);

test('code whose addresses moved costs a fraction of its patch', async () => {
  const [old, next] = [code(400_000, 0), code(400_000, 4096)];
  const body = encodeDifference(next, old, 9, aligner) ?? Buffer.alloc(0);
  expect(body.length).toBeLessThan(compressSegment(next, 9, old).length / 3);
  expect((await decodeDifference(body, next.length, old)).equals(next)).toBe(true);
});

test.each([
  ['a run past the end of the new side', [{ at: 90, length: 20, from: 0 }]],
  ['a run past the end of the old side', [{ at: 0, length: 20, from: 90 }]],
  ['a run before the start of the old side', [{ at: 0, length: 2, from: -1 }]],
])('%s is refused', (_what, runs) => {
  expect(() => addRuns(Buffer.alloc(100), Buffer.alloc(100), encodeRuns(runs))).toThrow(DeltaMalformed);
});

test('a body with any byte changed gives as many bytes or a refusal', async () => {
  const [old, next] = [code(60_000, 0), code(60_000, 512)];
  const good = encodeDifference(next, old, 9, aligner) ?? Buffer.alloc(0);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.integer({ min: 0, max: 255 }),
      fc.boolean(),
      async (at, byte, isInFront) => {
        const bad = Buffer.from(good);
        bad[at % (isInFront ? 40 : bad.length)] = byte;
        const outcome = await decodeDifference(bad, next.length, old).then(
          ({ length }) => length === next.length,
          (error: unknown) => error instanceof DeltaMalformed,
        );
        expect(outcome).toBe(true);
      },
    ),
    { numRuns: 300 },
  );
}, 30_000);

test('runs that decompress to more than is allowed are refused before that', async () => {
  const runs = compressSegment(Buffer.alloc(10_000_000), 9);
  const header = Buffer.alloc(8);
  header.writeUInt32BE(10_000_000, 0);
  header.writeUInt32BE(runs.length, 4);
  await expect(decodeDifference(Buffer.concat([header, runs]), 100, Buffer.alloc(100))).rejects.toThrow(
    'more of its runs',
  );
  header.writeUInt32BE(1000, 0);
  await expect(decodeDifference(Buffer.concat([header, runs]), 100, Buffer.alloc(100))).rejects.toThrow(
    DeltaMalformed,
  );
});
