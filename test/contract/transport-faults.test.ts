import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { blobObject, leavesObject } from '../../protocol/objects.ts';
import { TestFleet } from '../support/fleet-server.ts';
import { type Layer, noiseLayer, Publisher, serviceRelease } from '../support/service-release.ts';
import { makeSigner } from '../support/signed-release.ts';
import { until } from '../support/until.ts';
import { WiredDevice, type Wires, wiresTo } from '../support/wired-device.ts';

const MIB = 1024 ** 2;
const CHUNK = 64 * 1024;
const PIECE = 512 * 1024;
/** Of one seed, so that a run can be had again. */
const SEED = Number(process.env['TEST_SEED'] ?? 7);

let work: string;
let fleet: TestFleet;
let publisher: Publisher;
let wires: Wires;
let device: WiredDevice;
let agent: Awaited<ReturnType<WiredDevice['boot']>> | undefined;
let number = 0;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'wherry-transport-'));
  fleet = await TestFleet.start();
  publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
});
beforeEach(async () => {
  wires = await wiresTo(fleet, SEED);
  device = await WiredDevice.enrol(fleet, `boat-${++number}`, wires, publisher.signer.rootText);
});
afterEach(async () => {
  await agent?.stop();
  agent = undefined;
  await device.remove();
  await wires.mqtt.close();
  await wires.https.close();
});
afterAll(async () => {
  await fleet.close();
  rmSync(work, { recursive: true, force: true });
});

async function release(bytes: number): Promise<{ id: string; layer: Layer; chunks: number }> {
  const layer = await noiseLayer(work, bytes);
  const id = await publisher.publish(serviceRelease(`${number}.0`, { web: { layers: [layer] } }));
  return { id, layer, chunks: Math.ceil(layer.size / CHUNK) };
}

async function boot(options: Parameters<WiredDevice['boot']>[0] = {}) {
  agent = await device.boot(options);
  return agent;
}

/** A new server over the same data; the wires lead to it. */
async function restartServer(): Promise<void> {
  await fleet.server.close();
  await fleet.open();
  wires.mqtt.target = fleet.server.ports.mqtt;
  wires.https.target = fleet.server.ports.device;
}

describe('a download goes on where it was', () => {
  test('after the agent, the server and the broker restarted, in turn', async () => {
    const { id, layer, chunks } = await release(12 * MIB);
    const assignment = await device.assigned(id);
    wires.mqtt.script = () => ({ bytesPerSecond: 6 * MIB });
    const first = await boot({ over: ['mqtt'] });
    first.engine.offer(assignment);
    await until(() => first.done() >= 3 * MIB, { what: 'a quarter' });
    await first.stop();
    const kept = first.done();

    const second = await boot({ over: ['mqtt'] });
    await until(() => second.done() >= kept + 2 * MIB, { what: 'more after the agent began again' });
    await restartServer();
    const before = second.done();
    await until(() => second.done() >= before + MIB, { what: 'more after the server began again' });
    wires.mqtt.cut();
    await second.committed();
    const object = blobObject(layer.verity);
    // What the first agent had not put on disk is all that is fetched again.
    expect(second.mqtt.of(object)).toBe(chunks - Math.floor(kept / CHUNK));
    expect(new Set(second.mqtt.taken).size).toBe(second.mqtt.taken.length);
  });

  test('over another source when one dies half-way, and over a third; no chunk is taken twice', async () => {
    const { id, layer, chunks } = await release(9 * MIB);
    const object = blobObject(layer.verity);
    const assignment = await device.assigned(id);
    const mirror = join(work, `mirror-${number}`);
    mkdirSync(mirror);
    copyFileSync(layer.path, join(mirror, object));
    wires.mqtt.script = () => ({ resetAfterBytes: 3 * MIB });
    wires.https.script = () => ({ resetAfterBytes: 3 * MIB });
    const { engine, mqtt, https, folder, committed } = await boot({ folder: mirror });
    for (const [source, wire] of [
      [mqtt, wires.mqtt],
      [https, wires.https],
    ] as const)
      source.beforeChunk = async () => {
        // What carries the content dies for good with its first reset.
        if (source.of(object) > 30) wire.isDown = true;
      };
    engine.offer(assignment);
    await committed();
    const counts = [mqtt, https, folder].map((source) => source.of(object));
    expect(counts.every((count) => count > 0)).toBe(true);
    expect(counts.reduce((sum, count) => sum + count)).toBe(chunks);
    const all = [mqtt, https, folder].flatMap(({ taken }) => taken);
    expect(new Set(all).size).toBe(all.length);
    // What the dead connections had on their way is lost: a window, and what the sockets held.
    expect(wires.mqtt.bytesDown + wires.https.bytesDown).toBeLessThan(7 * MIB);
  });

  test('through a link that flaps every few hundred milliseconds', async () => {
    const { id, layer, chunks } = await release(4 * MIB);
    const assignment = await device.assigned(id);
    const flapping = (connection: number) => ({
      latencyMs: 5,
      bytesPerSecond: 2 * MIB,
      resetAfterMs: 250 + ((connection * 97) % 300),
    });
    wires.mqtt.script = flapping;
    wires.https.script = flapping;
    const { engine, mqtt, https, committed } = await boot();
    engine.offer(assignment);
    await committed();
    const object = blobObject(layer.verity);
    expect(mqtt.of(object) + https.of(object)).toBe(chunks);
    expect(wires.mqtt.connections + wires.https.connections).toBeGreaterThan(3);
  });

  test('when the other end is gone and the connection does not say so', async () => {
    const { id, layer, chunks } = await release(2 * MIB);
    const assignment = await device.assigned(id);
    const faults = [{ silentAfterBytes: 400_000 }, { halfOpenAfterBytes: 700_000 }];
    wires.mqtt.script = (connection) => faults[connection - 1] ?? {};
    const { engine, mqtt, committed } = await boot({ over: ['mqtt'] });
    engine.offer(assignment);
    await committed();
    expect(mqtt.of(blobObject(layer.verity))).toBe(chunks);
    expect(wires.mqtt.connections).toBe(3);
  });

  test('over HTTPS, when the other end falls silent half-way', async () => {
    const { id, layer, chunks } = await release(2 * MIB);
    const assignment = await device.assigned(id);
    wires.https.script = (connection) => (connection === 1 ? { silentAfterBytes: 900_000 } : {});
    const { engine, https, committed } = await boot({ over: ['https'] });
    engine.offer(assignment);
    await committed();
    expect(https.of(blobObject(layer.verity))).toBe(chunks);
  });
});

describe('a bad line costs time, not bytes', () => {
  test.each(['mqtt', 'https'] as const)('256 kbit/s over %s', async (over) => {
    const { id, layer } = await release(300_000);
    const assignment = await device.assigned(id);
    const small = { latencyMs: 100, bytesPerSecond: 32 * 1024 };
    wires[over].script = () => small;
    // With the times that a device has.
    const { engine, committed } = await boot({ over: [over], times: { answerMs: 3_000, silences: 5 } });
    engine.offer(assignment);
    await committed();
    // Metadata, manifest, leaves, a handshake or two and the frames around it; nothing was asked for twice.
    expect(wires[over].bytesDown).toBeLessThan(1.15 * layer.size + 60_000);
  });

  test.each([
    'mqtt',
    'https',
  ] as const)('pieces of a few bytes, late and with losses, over %s', async (over) => {
    const { id, layer, chunks } = await release(2 * MIB);
    const assignment = await device.assigned(id);
    wires[over].script = () => ({
      latencyMs: 20,
      pieceBytes: 4_000,
      stalls: { probability: 0.01, ms: 200 },
    });
    const run = await boot({ over: [over] });
    run.engine.offer(assignment);
    await run.committed();
    expect(run[over].of(blobObject(layer.verity))).toBe(chunks);
    expect(wires[over].bytesDown).toBeLessThan(1.1 * layer.size + 60_000);
  });
});

test.each([
  // The window.
  ['mqtt', 8, 1.5],
  // What the sockets of both ends may hold: the kernel's own bounds.
  ['https', 24, 16],
] as const)('a device whose disk is slow slows the source: %s', async (over, sizeMib, mostMib) => {
  const { id, layer } = await release(sizeMib * MIB);
  const assignment = await device.assigned(id);
  const object = blobObject(layer.verity);
  const run = await boot({ over: [over] });
  const held = Promise.withResolvers<void>();
  try {
    run[over].beforeChunk = async () => {
      if (run[over].of(object) > 8) await held.promise;
    };
    run.engine.offer(assignment);
    await until(() => run[over].of(object) > 8, { what: 'the first piece' });
    const { connections } = wires[over];
    // Longer than any silence that would end the download.
    await pause(4_000);
    expect(wires[over].bytesDown).toBeLessThan(mostMib * MIB);
    expect(wires[over].connections).toBe(connections);
  } finally {
    held.resolve();
  }
  await run.committed();
});

test('a mirror with wrong, short, long and missing files is left for the server', async () => {
  const { id, layer, chunks } = await release(PIECE * 3);
  const assignment = await device.assigned(id);
  const mirror = join(work, `mirror-${number}`);
  mkdirSync(mirror);
  const object = blobObject(layer.verity);
  writeFileSync(join(mirror, object), Buffer.alloc(layer.size - 5));
  writeFileSync(join(mirror, leavesObject(layer.verity)), Buffer.alloc(10_000));
  wires.mqtt.isDown = true;
  const { engine, https, committed } = await boot({ folder: mirror });
  engine.offer(assignment);
  await committed();
  expect(https.of(object)).toBe(chunks);
});
