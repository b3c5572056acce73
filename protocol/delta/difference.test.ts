import { brotliCompressSync, constants } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { noise } from '../../test/support/deltas.ts';
import { Aligner } from './aligner.ts';
import { decodeBrotli } from './brotli.ts';
import { DeltaMalformed } from './delta-malformed.ts';
import { decodeDifference, encodeDifference } from './difference.ts';
import { decodeRuns, encodeRuns, literalsOf, placeLiterals } from './runs.ts';
import { compressSegment } from './segment.ts';

const aligner = new Aligner();
const along = (old: Buffer) => ({ old, ranges: [{ first: 5, blocks: Math.ceil(old.length / 4096) }] });
const differenceOf = (next: Buffer, old: Buffer): Buffer =>
  encodeDifference(next, along(old), 9, aligner) ?? Buffer.alloc(0);

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

test('runs ascend, stay inside both sides, and give the content again', async () => {
  await fc.assert(
    fc.asyncProperty(content, content, fc.nat({ max: 300 }), async (old, other, at) => {
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
      expect([...decodeRuns(encodeRuns(runs), next.length, old.length)]).toEqual(runs);
      const body = encodeDifference(next, along(old), 3, aligner);
      const back = body && (await decodeDifference(body, next.length, along(old)));
      expect(back?.equals(next) ?? runs.length === 0).toBe(true);
    }),
    { numRuns: 60 },
  );
}, 30_000);

test('what lies along no run is put back between the runs', () => {
  const data = noise(100, 1);
  const runs = [
    { at: 10, length: 20, from: 0 },
    { at: 30, length: 5, from: 50 },
    { at: 90, length: 10, from: 3 },
  ];
  const back = Buffer.from(data);
  for (const { at, length } of runs) back.fill(0, at, at + length);
  const expected = Buffer.from(back);
  for (let at = 0; at < 100; at++)
    if (!runs.some((run) => at >= run.at && at < run.at + run.length)) back[at] = 0;
  placeLiterals(back, literalsOf(data, runs), runs);
  expect(back.equals(expected)).toBe(true);
});

test('code whose addresses moved costs a fraction of its patch', async () => {
  const [old, next] = [code(400_000, 0), code(400_000, 4096)];
  const body = differenceOf(next, old);
  expect(body.length).toBeLessThan(compressSegment(next, 9, old).length / 3);
  expect((await decodeDifference(body, next.length, along(old))).equals(next)).toBe(true);
});

test.each([
  ['a run past the end of the new side', [{ at: 90, length: 20, from: 0 }]],
  ['a run past the end of the old side', [{ at: 0, length: 20, from: 90 }]],
  ['a run before the start of the old side', [{ at: 0, length: 2, from: -1 }]],
])('%s is refused', (_what, runs) => {
  expect(() => [...decodeRuns(encodeRuns(runs), 100, 100)]).toThrow(DeltaMalformed);
});

test('a body with any byte changed gives as many bytes or a refusal', async () => {
  const [old, next] = [code(60_000, 0), code(60_000, 512)];
  const good = differenceOf(next, old);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.integer({ min: 0, max: 255 }),
      fc.boolean(),
      async (at, byte, isInFront) => {
        const bad = Buffer.from(good);
        bad[at % (isInFront ? 40 : bad.length)] = byte;
        const outcome = await decodeDifference(bad, next.length, along(old)).then(
          ({ length }) => length === next.length,
          (error: unknown) => error instanceof DeltaMalformed,
        );
        expect(outcome).toBe(true);
      },
    ),
    { numRuns: 300 },
  );
}, 30_000);

test('a plan that decompresses to more than is allowed is refused before that', async () => {
  const plan = compressSegment(Buffer.alloc(10_000_000), 9);
  const header = Buffer.alloc(10);
  header.writeUIntBE(10_000_000, 1, 3);
  header.writeUIntBE(plan.length, 4, 3);
  const body = Buffer.concat([header, plan]);
  await expect(decodeDifference(body, 100, along(Buffer.alloc(100)))).rejects.toThrow('of its plan');
  header.writeUIntBE(1000, 1, 3);
  await expect(
    decodeDifference(Buffer.concat([header, plan]), 100, along(Buffer.alloc(100))),
  ).rejects.toThrow(DeltaMalformed);
});

const brotliOf = (data: Buffer, windowBits: number): Buffer =>
  brotliCompressSync(data, {
    params: { [constants.BROTLI_PARAM_LGWIN]: windowBits, [constants.BROTLI_PARAM_QUALITY]: 1 },
  });

test('a brotli stream of more bytes than its place holds is refused', async () => {
  const bomb = brotliCompressSync(Buffer.alloc(50_000_000));
  await expect(decodeBrotli(bomb, 1000)).rejects.toThrow(DeltaMalformed);
});

test.each([10, 16, 17, 18, 20])('a brotli window of 2^%i bytes is taken', async (bits) => {
  const data = noise(1000, 1);
  expect((await decodeBrotli(brotliOf(data, bits), data.length)).equals(data)).toBe(true);
});

test.each([21, 24])('a brotli window of 2^%i bytes, more than a segment, is refused', async (bits) => {
  await expect(decodeBrotli(brotliOf(noise(1000, 1), bits), 1000)).rejects.toThrow('more memory');
});
