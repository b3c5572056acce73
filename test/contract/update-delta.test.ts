import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BulkSession } from '../../agent/link/bulk-session.ts';
import { tlsDial } from '../../agent/link/dial.ts';
import { systemClock } from '../../agent/system-clock.ts';
import { FolderBlobStore } from '../../agent/update/blobs/folder-blob-store.ts';
import { DeltaFetcher } from '../../agent/update/delta/delta-fetcher.ts';
import { fetchBlob } from '../../agent/update/fetch-blob.ts';
import { MqttSource } from '../../agent/update/sources/mqtt-source.ts';
import { blobObject } from '../../protocol/objects.ts';
import { blobOf, deltaOf, noise, offerDelta, type TestBlob } from '../support/deltas.ts';
import { type TestDevice, TestFleet } from '../support/fleet-server.ts';
import { TcpTap } from '../support/tcp-tap.ts';
import { until } from '../support/until.ts';
import { startUpdateBench } from '../support/update-bench.ts';

const MIB = 1024 * 1024;
const never = new AbortController().signal;

/** A tenth of it is new, and all of it has moved. */
function nextOf(old: Buffer): Buffer<ArrayBuffer> {
  const parts: Buffer[] = [];
  for (let at = 0; at < old.length; at += MIB) parts.push(noise(100_000, at + 7), old.subarray(at, at + MIB));
  return Buffer.concat(parts);
}

describe('from the fleet server, over MQTT', () => {
  let fleet: TestFleet;
  let device: TestDevice;
  let folder: string;
  let blobs: FolderBlobStore;
  let old: TestBlob;
  let next: TestBlob;
  const told: string[] = [];

  beforeEach(async () => {
    told.length = 0;
    folder = await mkdtemp(join(tmpdir(), 'wherry-delta-'));
    fleet = await TestFleet.start();
    device = await fleet.device(`delta-${process.pid}`);
    blobs = await FolderBlobStore.open(folder);
    old = await blobOf(noise(3 * MIB + 777, 1));
    next = await blobOf(nextOf(old.content));
    for (const { verity, content } of [old, next]) {
      const put = await fleet.api('PUT', `/objects/${blobObject(verity)}`, content);
      if (put.status !== 201) throw new Error(`The upload answered ${put.status}`);
    }
    await writeFile(blobs.pathOf(old.verity), old.content);
  });
  afterEach(async () => {
    await fleet.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** One download over a session of its own; gives the bytes that came down, TLS and all. */
  async function download(wanted: TestBlob, bases: TestBlob[], onBytes = (_bytes: number) => {}) {
    const tap = await TcpTap.to(fleet.server.ports.mqtt);
    const { ca, certificate } = device.identity;
    const dial = tlsDial({ host: 'localhost', port: tap.port, key: device.key, certificate, ca });
    const identity = { tenant: 'default', device: device.id };
    const channel = new BulkSession({ identity, dial, clock: systemClock });
    const source = new MqttSource({ channel, times: { answerMs: 500, silences: 4 } });
    const deltas = new DeltaFetcher({
      source,
      blobs,
      spurned: new Set(),
      basesOf: () => bases.map(({ verity, size }) => ({ verity, size })),
      onUnusable: (message) => told.push(message),
      onWait: () => {},
    });
    const layer = { verity: wanted.verity, size: wanted.size, diffId: '0'.repeat(64) };
    try {
      const outcome = await fetchBlob(layer, { source, blobs, deltas }, onBytes, never);
      return { outcome, bytesDown: tap.bytesDown };
    } catch (error) {
      return { error, bytesDown: tap.bytesDown };
    } finally {
      await channel.stop();
      await tap.close();
    }
  }

  test('a device that holds an older blob gets the new one for what is new in it', async () => {
    const { outcome, bytesDown } = await download(next, [old]);
    expect(outcome).toEqual({ ok: true });
    expect(await blobs.has(next.verity, next.size)).toBe(true);
    expect(told).toEqual([]);
    // Four pieces of 100 kB are new.
    expect(bytesDown).toBeLessThan(450_000);
  });

  test('a device whose older blob is gone gets all of it', async () => {
    await rm(blobs.pathOf(old.verity));
    const { outcome, bytesDown } = await download(next, [old]);
    expect(outcome).toEqual({ ok: true });
    // Nothing compresses it.
    expect(bytesDown).toBeGreaterThan(next.size);
  });

  test('a device that holds nothing gets what compresses compressed', async () => {
    const text = await blobOf(Buffer.alloc(3 * MIB, 'the quick brown fox jumps over the lazy dog, '));
    await fleet.api('PUT', `/objects/${blobObject(text.verity)}`, text.content);
    const { outcome, bytesDown } = await download(text, []);
    expect(outcome).toEqual({ ok: true });
    expect(bytesDown).toBeLessThan(50_000);
  });

  test('goes on where it was when the server went down half-way and came back', async () => {
    let verified = 0;
    let isDown: Promise<void> | undefined;
    const first = await download(next, [old], (bytes) => {
      verified += bytes;
      isDown ??= fleet.server.close();
    });
    expect(first.error).toBeDefined();
    expect(verified).toBeLessThan(next.size);
    await isDown;
    await fleet.open();
    const second = await download(next, [old]);
    expect(second.outcome).toEqual({ ok: true });
    expect(await blobs.has(next.verity, next.size)).toBe(true);
    expect(told).toEqual([]);
    expect(first.bytesDown + second.bytesDown).toBeLessThan(700_000);
  });
});

describe('through the update engine', () => {
  let bench: Awaited<ReturnType<typeof startUpdateBench>>;
  let agent: Awaited<ReturnType<typeof bench.boot>>;

  beforeEach(async () => {
    bench = await startUpdateBench();
    agent = await bench.boot();
  });
  afterEach(async () => {
    await agent.stop();
    await bench.close();
  });

  /** Runs release 1 and gives release 2, with a delta between their layers. */
  async function secondRelease(damage: (delta: Buffer) => Buffer = (delta) => delta) {
    const old = await bench.repository.layer(0, noise(4 * MIB, 1));
    agent.engine.offer(bench.repository.assign(bench.repository.publish('1.0.0', [old])));
    await agent.phase('committed');
    const next = await bench.repository.layer(0, nextOf(old.content));
    const { objects } = bench.repository;
    const delta = deltaOf(next, old);
    const object = offerDelta(objects, { delta, next, old });
    objects.set(object, damage(delta));
    bench.server.served.length = 0;
    const release = bench.repository.publish('2.0.0', [next]);
    agent.engine.offer(bench.repository.assign(release, { generation: 2 }));
    await until(
      () => agent.engine.status().phase === 'committed' && agent.engine.current?.version === '2.0.0',
      { timeoutMs: 15_000, what: bench.log.join(' | ') },
    );
    const served = (name: string) => bench.server.served.filter((chunk) => chunk.startsWith(name)).length;
    return { next, chunks: { delta: served(object), blob: served(blobObject(next.verity)) } };
  }

  test('a release that follows another comes by delta', async () => {
    const { next, chunks } = await secondRelease();
    expect(chunks.blob).toBe(0);
    expect(chunks.delta).toBeLessThan(10);
    expect(agent.engine.status().progress).toEqual({
      doneBytes: next.size,
      totalBytes: next.size,
      reusedBytes: 0,
    });
  });

  test('a spoilt delta is told of by name, the server too, and the release comes whole', async () => {
    const { chunks } = await secondRelease((delta) => Buffer.from(delta).fill(0, 200_000, 300_000));
    expect(chunks.blob).toBeGreaterThan(0);
    expect(bench.log).toContainEqual(
      expect.stringMatching(/^Cannot use a delta for blob [0-9a-f]{12}: .+; fetching the blob whole$/),
    );
    const told = agent.ledger.outbox.pending(50).filter(({ code }) => code === 'update.delta-unusable');
    expect(told).toMatchObject([
      { kind: 'update', phase: 'fetching', generation: 2, release: expect.stringContaining('2.0.0') },
    ]);
    expect(told[0]?.message).toMatch(/^Cannot use a delta for blob/);
  });
});
