import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PIECE_BYTES } from '../../protocol/fsverity.ts';
import { blobObject, leavesObject } from '../../protocol/objects.ts';
import { blobOf, deltaOf, noise, offerDelta, type TestBlob } from '../../test/support/deltas.ts';
import { FolderBlobStore } from './blobs/folder-blob-store.ts';
import { DeltaFetcher } from './delta/delta-fetcher.ts';
import { fetchBlob } from './fetch-blob.ts';
import type { SlotPart } from './ports.ts';
import { FakeSource } from './sources/fake-source.ts';

const ODD_BYTES = 5_000;
const SIZE = 4 * PIECE_BYTES + ODD_BYTES;

let folder: string;
let blobs: FolderBlobStore;
let source: FakeSource;
let fetched: number;
let taken: number;
/** What the booted slot holds; a part is as large as the disk lets it be. */
let booted: Record<SlotPart, Buffer>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wherry-seed-'));
  blobs = await FolderBlobStore.open(folder);
  source = new FakeSource();
  fetched = 0;
  taken = 0;
  booted = { boot: Buffer.alloc(SIZE), root: Buffer.alloc(2 * SIZE) };
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const slots = {
  read: async (part: SlotPart, at: number, into: Buffer): Promise<void> => {
    booted[part].copy(into, 0, at, at + into.length);
  },
};

const nothing = () => undefined;
const onTaken = (bytes: number) => (taken += bytes);

/** Resolves with the bytes of the blob's own object that were fetched. */
async function fetch(layer: TestBlob, other: TestBlob): Promise<number> {
  source.objects.set(leavesObject(layer.verity), layer.leaves).set(blobObject(layer.verity), layer.content);
  const plain = source.fetch.bind(source);
  let bytes = 0;
  source.fetch = (object, chunks, onChunk, signal) =>
    plain(
      object,
      chunks,
      async (index, payload) => {
        bytes += payload.length;
        await onChunk(index, payload);
      },
      signal,
    );
  const options = { source, blobs, spurned: new Set<string>(), basesOf: () => [], waitMs: 1_000 };
  const deltas = new DeltaFetcher({ ...options, onUnusable: nothing, onWait: nothing });
  const seed = { system: { boot: other, root: layer }, slots, onTaken };
  const { signal } = new AbortController();
  const outcome = await fetchBlob(
    layer,
    { source, blobs, deltas, seed },
    (more) => (fetched += more),
    signal,
  );
  expect(outcome).toEqual({ ok: true });
  expect(await blobs.has(layer.verity, layer.size)).toBe(true);
  expect(fetched + taken).toBe(layer.size);
  return bytes;
}

test('a system that was flashed is not fetched again', async () => {
  const root = await blobOf(noise(SIZE, 1));
  root.content.copy(booted.root);
  expect(await fetch(root, await blobOf(noise(100, 2)))).toBe(0);
});

test('of one that is nearly it only the pieces that differ come, and no compressed whole', async () => {
  const root = await blobOf(noise(SIZE, 1));
  root.content.copy(booted.root);
  booted.root.writeUInt8(booted.root.readUInt8(PIECE_BYTES + 7) ^ 1, PIECE_BYTES + 7);
  offerDelta(source.objects, { delta: deltaOf(root), next: root });
  expect(await fetch(root, await blobOf(noise(100, 2)))).toBe(PIECE_BYTES);
});

test('of another system all comes, though the slot holds it as its other part', async () => {
  const root = await blobOf(noise(SIZE, 1));
  root.content.copy(booted.boot);
  expect(await fetch(root, await blobOf(noise(100, 2)))).toBe(SIZE);
});
