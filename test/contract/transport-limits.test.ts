import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BulkSession } from '../../agent/link/bulk-session.ts';
import { tlsDial } from '../../agent/link/dial.ts';
import { systemClock } from '../../agent/system-clock.ts';
import type { ChunkSource } from '../../agent/update/ports.ts';
import { HttpSource } from '../../agent/update/sources/http-source.ts';
import { MqttSource } from '../../agent/update/sources/mqtt-source.ts';
import type { FleetServerConfig } from '../../fleet-server/config.ts';
import { encodeBitmap } from '../../protocol/chunk-frame.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { blobObject } from '../../protocol/objects.ts';
import { upTopic } from '../../protocol/topics.ts';
import { type ApartFleet, type TestDevice, TestFleet } from '../support/fleet-server.ts';
import { noiseLayer, Publisher, serviceRelease } from '../support/service-release.ts';
import { makeSigner } from '../support/signed-release.ts';
import { until } from '../support/until.ts';

const MIB = 1024 ** 2;
const DEVICES = 20;
const BURST_SECONDS = 0.25;
const PART_BYTES = 256 * 1024;

const drop = async () => {};

let work: string;
let apart: ApartFleet;
const closers: (() => unknown)[] = [];

beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'wherry-limits-'));
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  rmSync(work, { recursive: true, force: true });
});

/** A server of its own, one object on it, and devices. */
async function serving(bytes: number, limits: Partial<FleetServerConfig> = {}) {
  apart = await TestFleet.startApart(limits);
  const { fleet } = apart;
  closers.push(() => fleet.close());
  const publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
  const layer = await noiseLayer(work, bytes);
  const releaseId = await publisher.publish(serviceRelease('1.0', { web: { layers: [layer] } }));
  const devices: TestDevice[] = [];
  for (let at = 0; at < DEVICES; at++) devices.push(await fleet.device(`boat-${at}`));
  closers.push(async () => {
    for (const device of devices) await device.close();
  });
  const chunks = Array.from({ length: Math.ceil(layer.size / LIMITS.chunkBytes) }, (_none, at) => at);
  return { devices, releaseId, object: blobObject(layer.verity), chunks, bytes: layer.size };
}

const objectUrl = (object: string) =>
  `https://127.0.0.1:${apart.fleet.server.ports.device}/objects/${object}`;

function sourceOf({ identity, key }: TestDevice, over: 'mqtt' | 'https'): ChunkSource {
  const { ca, certificate } = identity;
  const { ports } = apart.fleet.server;
  if (over === 'https')
    return new HttpSource({
      base: `https://127.0.0.1:${ports.device}/objects`,
      tls: { ca, key, cert: certificate },
    });
  const dial = tlsDial({ host: '127.0.0.1', port: ports.mqtt, key, certificate, ca });
  const channel = new BulkSession({ identity, dial, clock: systemClock });
  closers.push(() => channel.stop());
  return new MqttSource({ channel });
}

/** Asks for far more than it reads: nothing. */
async function stalled(device: TestDevice, object: string, chunks: number[]): Promise<void> {
  const bulk = await device.connect('bulk');
  bulk.stream.unpipe();
  bulk.stream.pause();
  for (let request = 1; request <= 4; request++) {
    const asked = encodeBitmap(chunks.slice(0, LIMITS.chunksPerGet));
    const message = { v: 1, request, object, chunkBytes: LIMITS.chunkBytes, ...asked };
    bulk.publish(upTopic('default', device.id, 'get'), JSON.stringify(message));
  }
  const { ca, certificate: cert } = device.identity;
  const request = get(objectUrl(object), { ca, cert, key: device.key, agent: false });
  request.on('error', () => {});
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  answer.pause();
  closers.push(() => request.destroy());
}

test('devices that ask and do not read cost the server a bounded buffer each, and hold nobody else up', async () => {
  const { devices, object, chunks, bytes } = await serving(40 * MIB);
  const reader = devices.pop();
  if (!reader) throw new Error('no device');
  const { signal } = new AbortController();
  // What the first transfers leave in the server is no buffer of theirs.
  await sourceOf(reader, 'mqtt').fetch(object, chunks, drop, signal);
  const before = await apart.cost();
  for (const device of devices) await stalled(device, object, chunks);
  let sent = -1;
  await until(
    async () => {
      const last = sent;
      await pause(500);
      sent = (await apart.cost()).sentBytes;
      return sent === last;
    },
    { timeoutMs: 40_000, what: 'the server to wait for its devices' },
  );
  const { rssBytes } = await apart.cost();
  // Asked for: 19 times 40 MiB over HTTPS and 64 MiB over MQTT. Allowed: 8 MiB each, with what waits for collection.
  expect(rssBytes - before.rssBytes).toBeLessThan(devices.length * 8 * MIB);
  expect(sent - before.sentBytes).toBeLessThan((devices.length * (64 * MIB + bytes)) / 2);
  for (const over of ['mqtt', 'https'] as const) {
    let taken = 0;
    await sourceOf(reader, over).fetch(
      object,
      chunks,
      async (_at, part) => void (taken += part.length),
      signal,
    );
    expect(taken).toBe(bytes);
  }
});

test('the limit of a server holds over both transports and is shared evenly by its devices', async () => {
  const rate = 4 * MIB;
  const { devices, object, chunks, bytes } = await serving(1.5 * MIB, { egressBytesPerSecond: rate });
  const { signal } = new AbortController();
  const got = devices.map(() => 0);
  const total = () => got.reduce((sum, count) => sum + count);
  let shares: number[] | undefined;
  const { sentBytes } = await apart.cost();
  const begin = performance.now();
  const fetching = devices.map((device, at) =>
    sourceOf(device, at % 2 ? 'mqtt' : 'https').fetch(
      object,
      chunks,
      async (_chunk, part) => {
        got[at] = (got[at] ?? 0) + part.length;
        if (total() > 0.6 * DEVICES * bytes) shares ??= [...got];
      },
      signal,
    ),
  );
  await Promise.all(fetching);
  const cost = await apart.cost();
  const seconds = (performance.now() - begin) / 1000;
  expect(cost.sentBytes - sentBytes).toBeLessThanOrEqual(rate * (seconds + BURST_SECONDS) + PART_BYTES);
  const mean = total() / DEVICES;
  // At three fifths of the way; each may be a part of HTTPS and a window of MQTT ahead or behind.
  const spread = Math.max(...(shares ?? [])) - Math.min(...(shares ?? []));
  expect(spread).toBeLessThanOrEqual(PART_BYTES + LIMITS.minWindowBytes + 2 * LIMITS.chunkBytes);
  expect(mean).toBe(bytes);
});

test('the limit of a device holds over all its connections together', async () => {
  const rate = MIB;
  const { devices, object, chunks, bytes } = await serving(2 * MIB, { egressDeviceBytesPerSecond: rate });
  const [device] = devices;
  if (!device) throw new Error('no device');
  const { signal } = new AbortController();
  const { sentBytes } = await apart.cost();
  const begin = performance.now();
  await Promise.all(
    (['mqtt', 'https', 'https'] as const).map((over) =>
      sourceOf(device, over).fetch(object, chunks, drop, signal),
    ),
  );
  const sent = (await apart.cost()).sentBytes - sentBytes;
  const seconds = (performance.now() - begin) / 1000;
  expect(sent).toBeGreaterThanOrEqual(3 * bytes);
  expect(sent).toBeLessThanOrEqual(rate * (seconds + BURST_SECONDS) + 3 * PART_BYTES);
});

test('the limit of a rollout holds its own devices, together and over both transports, until each is done', async () => {
  const rate = MIB;
  const { devices, releaseId, object, chunks, bytes } = await serving(MIB);
  const held = devices.slice(0, 4);
  const ids = held.map(({ id }) => id);
  const { fleet } = apart;
  const wanted = { releaseId, devices: ids, egressBytesPerSecond: rate };
  expect((await fleet.api('POST', '/rollouts', wanted)).status).toBe(201);
  const { signal } = new AbortController();
  const secondsOf = async (fetching: TestDevice[]) => {
    const begin = performance.now();
    await Promise.all(
      fetching.map((device, at) =>
        sourceOf(device, at % 2 ? 'mqtt' : 'https').fetch(object, chunks, drop, signal),
      ),
    );
    return (performance.now() - begin) / 1000;
  };
  const { sentBytes } = await apart.cost();
  let isFetching = true;
  const slow = secondsOf(held).finally(() => {
    isFetching = false;
  });
  await secondsOf(devices.slice(4, 6));
  // Nobody else waited for them.
  expect(isFetching).toBe(true);
  const seconds = await slow;
  const sent = (await apart.cost()).sentBytes - sentBytes;
  expect(sent).toBeGreaterThanOrEqual(6 * bytes);
  expect(4 * bytes).toBeLessThanOrEqual(rate * (seconds + BURST_SECONDS) + 4 * PART_BYTES);
  // One that is done, and one that a rollout without a limit took over, are held no longer.
  const [done, taken] = held;
  if (!done || !taken) throw new Error('no device');
  const control = await done.connect('control');
  await done.hello(control);
  await until(
    async () => {
      await done.report(control, 1, { phase: 'refused', release: await releaseOf(releaseId, 1) });
      const { attempts } = (await fleet.api('GET', '/rollouts')).body.items[0];
      return attempts.find(({ device }: { device: string }) => device === done.id)?.state === 'rejected';
    },
    { what: 'the attempt to end' },
  );
  await fleet.api('POST', '/rollouts', { releaseId, devices: [taken.id] });
  let isHeldFetching = true;
  const others = Promise.all(
    [...held.slice(2), ...held.slice(2)].map((device) =>
      sourceOf(device, 'https').fetch(object, chunks, drop, signal),
    ),
  ).finally(() => {
    isHeldFetching = false;
  });
  await secondsOf([done, taken]);
  expect(isHeldFetching).toBe(true);
  await others;
});

/** As a device names it in its reports. */
async function releaseOf(id: string, generation: number) {
  const { name, version, manifestSha256 } = (await apart.fleet.api('GET', `/releases/${id}`)).body;
  return { name, version, manifest: manifestSha256, generation };
}
