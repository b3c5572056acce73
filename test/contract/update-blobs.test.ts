import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FolderBlobStore } from '../../agent/update/blobs/folder-blob-store.ts';
import { PIECE_BYTES, verityOf } from '../../protocol/fsverity.ts';

const content = randomBytes(20 * PIECE_BYTES + 1000);
let folder: string;
let store: FolderBlobStore;
let digest: string;
let leaves: Buffer;
const piece = (index: number) => content.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES);

async function* whole() {
  yield content;
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wherry-blobs-'));
  store = await FolderBlobStore.open(folder);
  ({ digest, leaves } = await verityOf(whole()));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const all = Array.from({ length: 21 }, (_, index) => index);

test('pieces written at once in any order make one whole blob, and nothing else stays', async () => {
  const blob = await store.resume(digest, content.length, leaves);
  const order = [...all].reverse();
  expect(await Promise.all(order.map((index) => blob.write(index, piece(index))))).not.toContain(false);
  expect(await store.has(digest, content.length)).toBe(false);
  await blob.finish();
  expect(await store.has(digest, content.length)).toBe(true);
  expect(await readdir(folder)).toEqual([`${digest}.erofs`]);
});

test('a power cut costs only the pieces after the last sync', async () => {
  const blob = await store.resume(digest, content.length, leaves);
  for (const index of all.slice(0, 11)) await blob.write(index, piece(index));
  const again = await store.resume(digest, content.length, leaves);
  expect(again.missing()).toEqual(all.slice(8));
  expect(await store.partialBytes(digest, content.length)).toBe(8 * PIECE_BYTES);
  await Promise.all([blob.close(), again.close()]);
});

test('what a power cut left beside a whole blob is collected, and counts for no later download', async () => {
  const blob = await store.resume(digest, content.length, leaves);
  for (const index of all) await blob.write(index, piece(index));
  const map = await readFile(join(folder, `${digest}.pieces`));
  await blob.finish();
  await writeFile(join(folder, `${digest}.pieces`), map);
  await store.collect(new Set([digest]));
  expect(await readdir(folder)).toEqual([`${digest}.erofs`]);

  await rm(store.pathOf(digest));
  await writeFile(join(folder, `${digest}.pieces`), map);
  await (await store.resume(digest, content.length, leaves)).close();
  expect(await store.partialBytes(digest, content.length)).toBe(0);
});

test('a piece that is not what was signed is not written, and a disk that lies is noticed', async () => {
  const blob = await store.resume(digest, content.length, leaves);
  expect(await blob.write(0, piece(1))).toBe(false);
  for (const index of all) await blob.write(index, piece(index));
  await writeFile(join(folder, `${digest}.part`), 'x', { flag: 'r+' });
  await expect(blob.finish()).rejects.toThrow('not what was signed');
  expect(await readdir(folder)).toEqual([]);
});
