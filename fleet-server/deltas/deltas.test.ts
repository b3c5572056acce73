import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sha256Hex } from '../../protocol/canonical.ts';
import type { BuiltDelta } from '../../protocol/delta/build.ts';
import { type DeltaOffer, deltaObject } from '../../protocol/delta/offer.ts';
import { parseHeader } from '../../protocol/delta/table.ts';
import { blobObject } from '../../protocol/objects.ts';
import { blobOf, noise, type TestBlob } from '../../test/support/deltas.ts';
import { until } from '../../test/support/until.ts';
import { openObjectFolder } from '../releases/object-store.ts';
import { type BuildJob, type DeltaBuilder, processBuilder } from './delta-builder.ts';
import { DeltaCache } from './delta-cache.ts';
import { Deltas } from './deltas.ts';

const SCRIPT = join(import.meta.dirname, 'build-delta.ts');
let folder: string;
let deltas: Deltas;
const opened: Deltas[] = [];
let now: number;
let old: TestBlob;
let next: TestBlob;

/** Writes what it is told to, and remembers what it was asked for. */
class FakeBuilder implements DeltaBuilder {
  readonly jobs: BuildJob[] = [];
  /** Bytes of a delta at each level. */
  sizes: Record<number, number> = { 9: 400, 19: 300 };
  plainBytes = 1000;
  isBroken = false;
  async build(job: BuildJob): Promise<BuiltDelta> {
    this.jobs.push(job);
    if (this.isBroken) throw new Error('no memory');
    const content = Buffer.alloc(this.sizes[job.level] ?? 0, this.jobs.length);
    await writeFile(job.outPath, content);
    const taken = job.olds.at(-1);
    return {
      ...(taken && { old: taken.digest }),
      sha256: sha256Hex(content),
      bytes: content.length,
      plainBytes: this.plainBytes,
    };
  }
}

/** The server anew, on what the one before left. */
async function open(builder: DeltaBuilder, mostBytes = 10_000_000) {
  await close();
  const cache = await DeltaCache.open(join(folder, 'deltas'), mostBytes);
  const objects = await openObjectFolder(join(folder, 'blobs'));
  deltas = new Deltas({ cache, builder, objects, now: () => now, log: { info: () => {}, warn: () => {} } });
  opened.push(deltas);
}

const close = async () => {
  for (const each of opened.splice(0)) await each.close();
};

async function put(blob: TestBlob) {
  await writeFile(join(folder, 'blobs', blobObject(blob.verity)), blob.content);
}

beforeEach(async () => {
  now = 0;
  folder = await mkdtemp(join(tmpdir(), 'wherry-deltas-'));
  old = await blobOf(noise(300_000, 1));
  next = await blobOf(Buffer.concat([noise(5000, 2), old.content]));
  await open(new FakeBuilder());
  await put(old);
  await put(next);
});
afterEach(async () => {
  await close();
  await rm(folder, { recursive: true, force: true });
});

type Ready = Extract<DeltaOffer, { state: 'ready' }>;
async function ready(...candidates: TestBlob[]): Promise<Ready> {
  let offer: DeltaOffer | undefined;
  await until(
    async () => {
      offer = await deltas.offer(
        next.verity,
        candidates.map(({ verity }) => verity.slice(0, 16)),
      );
      return offer.state !== 'building';
    },
    { timeoutMs: 20_000 },
  );
  if (offer?.state !== 'ready') throw new Error(`The offer is ${offer?.state}`);
  return offer;
}
const state = async (...candidates: string[]) => (await deltas.offer(next.verity, candidates)).state;
const files = async () => (await readdir(join(folder, 'deltas'))).filter((name) => name.startsWith('delta-'));

test('a real delta is made in a process of its own, from the likest of the old blobs', async () => {
  await open(processBuilder);
  const other = await blobOf(noise(300_000, 3));
  await put(other);
  const offer = await ready(other, old);
  expect(offer.old).toBe(old.verity);
  const delta = await readFile(deltas.pathOf(deltaObject(offer.delta)));
  expect(sha256Hex(delta)).toBe(offer.delta);
  expect(delta.length).toBe(offer.bytes);
  expect(delta.length).toBeLessThan(10_000);
  expect(parseHeader(delta)).toMatchObject({ oldDigest: old.verity, newDigest: next.verity });
}, 30_000);

test('the first asker gets a quick one; a better one takes its place under another name', async () => {
  const first = await ready(old);
  expect(first.bytes).toBe(400);
  await until(async () => (await ready(old)).bytes === 300);
  const better = await ready(old);
  expect(better.delta).not.toBe(first.delta);
  expect(await files()).toEqual([deltaObject(better.delta)]);
});

test('one that is not better leaves the first in place', async () => {
  const builder = new FakeBuilder();
  builder.sizes = { 9: 300, 19: 300 };
  await open(builder);
  const first = await ready(old);
  await until(() => builder.jobs.length === 2);
  await until(async () => (await readdir(join(folder, 'deltas/building'))).length === 0);
  expect(await ready(old)).toEqual(first);
  expect(builder.jobs).toHaveLength(2);
});

test('a delta that saves too little is not offered: the compressed blob is, or nothing', async () => {
  const builder = new FakeBuilder();
  builder.plainBytes = 500;
  await open(builder);
  const offer = await ready(old);
  expect(offer.old).toBeUndefined();
  builder.sizes = { 9: 300_000, 19: 300_000 };
  await close();
  await rm(join(folder, 'deltas'), { recursive: true });
  await open(builder);
  await until(async () => (await state(old.verity.slice(0, 16))) === 'none');
});

test('knows what it has after a restart, and nothing of a build that was cut off', async () => {
  const builder = new FakeBuilder();
  builder.sizes = { 9: 400, 19: 400 };
  await open(builder);
  const offer = await ready(old);
  await deltas.close();
  await writeFile(join(folder, 'deltas/building/half'), 'x');
  await writeFile(join(folder, 'deltas', deltaObject('f'.repeat(64))), 'x');
  await open(new FakeBuilder());
  expect(await deltas.offer(next.verity, [old.verity.slice(0, 16)])).toEqual(offer);
  expect(await files()).toEqual([deltaObject(offer.delta)]);
});

test('the least recently wanted falls out when there are too many bytes', async () => {
  const builder = new FakeBuilder();
  builder.sizes = { 9: 400, 19: 400 };
  await open(builder, 1000);
  const others = [await blobOf(noise(200_000, 5)), await blobOf(noise(200_000, 6))];
  for (const other of others) await put(other);
  const [a, b] = others as [TestBlob, TestBlob];
  await ready(old);
  await ready(a);
  await ready(old);
  await ready(b);
  await until(async () => (await files()).length === 2);
  expect(deltas.known(next.verity, old.verity)).toBeDefined();
  expect(deltas.known(next.verity, a.verity)).toBeUndefined();
});

test('a build that failed is not tried again at once', async () => {
  const builder = new FakeBuilder();
  builder.isBroken = true;
  await open(builder);
  await until(async () => (await state(old.verity.slice(0, 16))) === 'none');
  const tried = builder.jobs.length;
  expect(await state(old.verity.slice(0, 16))).toBe('none');
  expect(builder.jobs.length).toBe(tried);
  builder.isBroken = false;
  now += 3_600_000;
  expect((await ready(old)).old).toBe(old.verity);
});

test('offers nothing for what it does not hold, nor against it, nor for the smallest', async () => {
  const small = await blobOf(noise(10_000, 8));
  await put(small);
  expect(await deltas.offer('f'.repeat(64), [])).toEqual({ v: 1, state: 'none' });
  expect(await deltas.offer(small.verity, [])).toEqual({ v: 1, state: 'none' });
  expect((await ready(await blobOf(noise(1000, 9)))).old).toBeUndefined();
});

test('a blob that does not compress is known for that at once, and after a restart', async () => {
  const dense = await blobOf(randomBytes(20 * 1024 * 1024));
  await put(dense);
  await open(processBuilder);
  await until(async () => (await deltas.offer(dense.verity, [])).state === 'none', { timeoutMs: 10_000 });
  expect(deltas.known(dense.verity, undefined)).toMatchObject({ hasFile: false, bytes: dense.size });
  const builder = new FakeBuilder();
  await open(builder);
  expect(await deltas.offer(dense.verity, [])).toEqual({ v: 1, state: 'none' });
  expect(builder.jobs).toEqual([]);
});

test('a build ends with the server that began it', async () => {
  // It compresses by a quarter, slowly.
  const large = await blobOf(Buffer.from(randomBytes(30_000_000).toString('base64')));
  await put(large);
  const job: BuildJob = {
    next: { path: join(folder, 'blobs', blobObject(large.verity)), digest: large.verity },
    olds: [],
    level: 19,
    outPath: join(folder, 'out'),
    isSpare: false,
  };
  // A server that is killed at once, and tells who its builder is.
  const server = `
    const { spawn } = require('node:child_process');
    const builder = spawn(process.execPath, [${JSON.stringify(SCRIPT)}, ${JSON.stringify(JSON.stringify(job))}]);
    console.log(builder.pid);
    setInterval(() => {}, 1000);
  `;
  const parent = spawn(process.execPath, ['-e', server], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [text] = (await once(parent.stdout, 'data')) as [Buffer];
  const builder = Number(text);
  await until(() => existsSync(`${job.outPath}.bodies`), { timeoutMs: 10_000 });
  parent.kill('SIGKILL');
  await until(() => !isRunning(builder), { timeoutMs: 10_000 });
  expect(existsSync(job.outPath)).toBe(false);
}, 30_000);

/** One that has ended and was not reaped yet does not run. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

test('the more devices wait, the later they are asked to come back', async () => {
  const builder: DeltaBuilder = { build: () => new Promise(() => {}) };
  const cache = await DeltaCache.open(join(folder, 'deltas'), 1000);
  const objects = await openObjectFolder(join(folder, 'blobs'));
  const waiting = new Deltas({
    cache,
    builder,
    objects,
    now: () => now,
    log: { info: () => {}, warn: () => {} },
  });
  const asked = async () => {
    const offer = await waiting.offer(next.verity, []);
    return offer.state === 'building' ? offer.retryAfterMs : undefined;
  };
  expect(await asked()).toBe(1_000);
  for (let device = 0; device < 400; device++) await asked();
  expect(await asked()).toBe(2_010);
  now += 1_000;
  expect(await asked()).toBe(1_000);
});
