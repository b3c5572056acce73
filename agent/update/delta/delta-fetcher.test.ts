import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { offerObject } from '../../../protocol/delta/offer.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import { blobObject, leavesObject } from '../../../protocol/objects.ts';
import { blobOf, deltaOf, noise, offerDelta, type TestBlob } from '../../../test/support/deltas.ts';
import { FolderBlobStore } from '../blobs/folder-blob-store.ts';
import { fetchBlob } from '../fetch-blob.ts';
import { FakeSource } from '../sources/fake-source.ts';
import { SourceError } from '../sources/source-error.ts';
import { DeltaFetcher } from './delta-fetcher.ts';

// Blobs of megabytes, on a machine that may be busy.
vi.setConfig({ testTimeout: 30_000 });
const MIB = 1024 * 1024;
const never = new AbortController().signal;

let folder: string;
let blobs: FolderBlobStore;
let source: CountingSource;
let old: TestBlob;
let next: TestBlob;
let first: { old: TestBlob; next: TestBlob; delta: Buffer };
let unusable: string[];
let waits: string[];
let verified: number;

/** Counts what crosses the wire, by object. */
class CountingSource extends FakeSource {
  readonly bytes = new Map<string, number>();
  cutAfter = Number.POSITIVE_INFINITY;
  override async fetch(...[object, chunks, onChunk, signal]: Parameters<FakeSource['fetch']>): Promise<void> {
    const counted = async (index: number, payload: Buffer) => {
      if (this.cutAfter-- <= 0) throw new SourceError('unreachable', 'the line was cut');
      this.bytes.set(object, (this.bytes.get(object) ?? 0) + payload.length);
      await onChunk(index, payload);
    };
    await super.fetch(object, chunks, counted, signal);
  }
}

beforeAll(async () => {
  const old = await blobOf(noise(3 * MIB + 5000, 1));
  // Something new in the middle of each segment, and all of it moved.
  const { content } = old;
  const [a, b, c] = [
    content.subarray(0, 900_000),
    content.subarray(900_000, 2_000_000),
    content.subarray(2_000_000),
  ];
  const next = await blobOf(Buffer.concat([noise(70_000, 2), a, noise(90_000, 3), b, noise(80_000, 4), c]));
  first = { old, next, delta: deltaOf(next, old) };
}, 60_000);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wherry-delta-'));
  blobs = await FolderBlobStore.open(folder);
  source = new CountingSource();
  unusable = [];
  waits = [];
  verified = 0;
  ({ old, next } = first);
  await writeFile(blobs.pathOf(old.verity), old.content);
  source.objects.set(leavesObject(next.verity), next.leaves).set(blobObject(next.verity), next.content);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const spurned = new Set<string>();
function fetch(held: TestBlob[] = [old], waitMs = 2_000) {
  spurned.clear();
  const deltas = new DeltaFetcher({
    source,
    blobs,
    spurned,
    waitMs,
    basesOf: () => held.map(({ verity, size }) => ({ verity, size })),
    onUnusable: (message) => unusable.push(message),
    onWait: (message) => waits.push(message),
  });
  const layer = { verity: next.verity, size: next.size, diffId: '0'.repeat(64) };
  return fetchBlob(layer, { source, blobs, deltas }, (bytes) => (verified += bytes), never);
}

async function expectWhole() {
  expect(await blobs.has(next.verity, next.size)).toBe(true);
  expect(verified).toBe(next.size);
}
const wire = (object: string): number => source.bytes.get(object) ?? 0;

test('makes the blob of the one it holds, for little more than what is new', async () => {
  const { delta } = first;
  const object = offerDelta(source.objects, { delta, next, old });
  expect(await fetch()).toEqual({ ok: true });
  await expectWhole();
  expect(wire(object)).toBe(delta.length);
  expect(wire(object)).toBeLessThan(250_000);
  expect(wire(blobObject(next.verity))).toBe(0);
  expect(unusable).toEqual([]);
});

test('takes the compressed blob where it holds nothing', async () => {
  next = await blobOf(Buffer.alloc(2 * MIB, 'all the same '));
  source.objects.set(leavesObject(next.verity), next.leaves);
  const object = offerDelta(source.objects, { delta: deltaOf(next), next });
  expect(await fetch([])).toEqual({ ok: true });
  await expectWhole();
  expect(wire(object)).toBeLessThan(2_000);
});

test('waits while the delta is made, and fetches the blob whole when that takes too long', async () => {
  const name = offerObject(next.verity, [old.verity]);
  source.objects.set(name, Buffer.from(JSON.stringify({ v: 1, state: 'building', retryAfterMs: 50 })));
  const { delta } = first;
  let reads = 0;
  source.onRead = async (object) => {
    if (object === name && ++reads === 3) offerDelta(source.objects, { delta, next, old });
  };
  await fetch();
  expect(waits).toEqual([expect.stringContaining('is making a delta for it; asking again')]);
  expect(wire(blobObject(next.verity))).toBe(0);
  await rm(blobs.pathOf(next.verity));
  source.onRead = async () => {};
  source.objects.set(name, Buffer.from(JSON.stringify({ v: 1, state: 'building', retryAfterMs: 50 })));
  await fetch([old], 100);
  expect(wire(blobObject(next.verity))).toBe(next.size);
});

test('a cut download goes on at the segment, also with another delta of the same blobs', async () => {
  const { delta } = first;
  offerDelta(source.objects, { delta, next, old });
  source.cutAfter = 3;
  await expect(fetch()).rejects.toThrow('the line was cut');
  const before = verified;
  expect(before).toBeGreaterThan(0);
  source.cutAfter = Number.POSITIVE_INFINITY;
  source.bytes.clear();
  await fetch();
  await expectWhole();
  const again = [...source.bytes.values()].reduce((sum, bytes) => sum + bytes, 0);
  // Header and table come again, in the first chunk.
  expect(again).toBeLessThanOrEqual(delta.length);
  expect(wire(blobObject(next.verity))).toBe(0);
});

test.each<[string, (delta: Buffer) => Buffer]>([
  ['its last bytes changed', (delta) => damaged(delta, delta.length - 50_000)],
  ['its header changed', (delta) => damaged(delta, 10)],
  ['its table changed', (delta) => damaged(delta, 96)],
  ['its end missing', (delta) => delta.subarray(0, delta.length - 70_000)],
  ['nothing in it', () => Buffer.alloc(1)],
])('a delta with %s is told of, and the rest is fetched whole', async (_what, damage) => {
  const { delta } = first;
  const object = offerDelta(source.objects, { delta, next, old });
  source.objects.set(object, damage(Buffer.from(delta)));
  expect(await fetch()).toEqual({ ok: true });
  await expectWhole();
  expect(unusable).toHaveLength(1);
  expect(unusable[0]).toMatch(/^Cannot use a delta for blob [0-9a-f]{12}: .+; fetching the blob whole$/);
  expect(wire(blobObject(next.verity))).toBeGreaterThan(0);
});

function damaged(delta: Buffer, at: number): Buffer {
  delta.writeUInt8(delta.readUInt8(at) ^ 0xff, at);
  return delta;
}

test('what a delta gave before it went wrong is kept', async () => {
  const { delta } = first;
  const object = offerDelta(source.objects, { delta, next, old });
  source.objects.set(object, damaged(Buffer.from(delta), delta.length - 1));
  await fetch();
  await expectWhole();
  expect(wire(blobObject(next.verity))).toBeLessThan(next.size);
});

test.each<[string, () => Promise<void>]>([
  ['has rotten', () => writeFile(blobs.pathOf(old.verity), noise(old.size, 9))],
  ['shrinks under it', async () => truncateWhenRead()],
])('an old blob that %s is told of, and the blob is fetched whole', async (_what, spoil) => {
  offerDelta(source.objects, { delta: first.delta, next, old });
  await spoil();
  expect(await fetch()).toEqual({ ok: true });
  await expectWhole();
  expect(unusable).toHaveLength(1);
});

function truncateWhenRead(): void {
  source.onRead = (object) =>
    object.startsWith('offer-') ? truncate(blobs.pathOf(old.verity), 100_000) : Promise.resolve();
}

test('a delta for an old blob that is not on the device is refused', async () => {
  const other = await blobOf(noise(MIB, 7));
  offerDelta(source.objects, { delta: deltaOf(next, other), next, old: other, held: [old] });
  await fetch();
  await expectWhole();
  expect(unusable).toEqual([expect.stringContaining('not on this device')]);
});

test('does not name blobs that are gone, and asks no more when nobody answers', async () => {
  await rm(blobs.pathOf(old.verity));
  const asked: string[] = [];
  source.onRead = async (object) => {
    if (!object.startsWith('offer-')) return;
    asked.push(object);
    throw new SourceError('unreachable', 'nobody there');
  };
  await fetch();
  await expectWhole();
  expect(asked).toEqual([offerObject(next.verity, [])]);
});

test('a delta that the server has dropped is asked for anew', async () => {
  const dropped = offerDelta(source.objects, { delta: first.delta, next, old });
  source.objects.delete(dropped);
  let offers = 0;
  source.onRead = async (object) => {
    if (object.startsWith('offer-') && ++offers === 2)
      offerDelta(source.objects, { delta: first.delta, next, old });
  };
  await fetch();
  await expectWhole();
  expect(wire(blobObject(next.verity))).toBe(0);
});

test('chunks in any order, twice or uncalled for make the same blob', async () => {
  const { delta } = first;
  offerDelta(source.objects, { delta, next, old });
  const inOrder = source.fetch.bind(source);
  source.fetch = async (object, chunks, onChunk, signal) => {
    const shuffled = [...chunks].reverse().flatMap((chunk) => [chunk, chunk]);
    await inOrder(object, shuffled, onChunk, signal);
    if (object.startsWith('delta-')) await onChunk(99, Buffer.alloc(LIMITS.chunkBytes));
  };
  await fetch();
  await expectWhole();
  expect(wire(blobObject(next.verity))).toBe(0);
  expect(unusable).toEqual([]);
});
