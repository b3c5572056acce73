import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fastify } from 'fastify';
import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { BulkSession } from '../../agent/link/bulk-session.ts';
import { tcpDial } from '../../agent/link/dial.ts';
import { systemClock } from '../../agent/system-clock.ts';
import type { ChunkSource } from '../../agent/update/ports.ts';
import { FakeSource } from '../../agent/update/sources/fake-source.ts';
import { FolderSource } from '../../agent/update/sources/folder-source.ts';
import { HttpSource } from '../../agent/update/sources/http-source.ts';
import { MqttSource } from '../../agent/update/sources/mqtt-source.ts';
import { speakProblems } from '../../fleet-server/rest/problem-json.ts';
import { objectRoutes } from '../../fleet-server/transport/object-routes.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { ChunkServer, startTestBroker } from '../support/chunk-server.ts';

interface Bench {
  source: ChunkSource;
  objects: Map<string, Buffer>;
  close(): Promise<void>;
}

async function overMqtt(): Promise<Bench> {
  const broker = await startTestBroker();
  const objects = new Map<string, Buffer>();
  const server = new ChunkServer(broker.broker, objects);
  server.refuse = ({ object, first }) =>
    first * LIMITS.chunkBytes >= (objects.get(object)?.length ?? Infinity)
      ? { code: 'out-of-range', message: `${object} has no chunk ${first}`, retryAfterMs: 0 }
      : undefined;
  const identity = { tenant: 'demo', device: 'boat-1' };
  const dial = tcpDial({ host: '127.0.0.1', port: broker.port });
  const channel = new BulkSession({ identity, dial, clock: systemClock });
  const close = async () => {
    await channel.stop();
    await broker.close();
  };
  return { source: new MqttSource({ channel }), objects, close };
}

async function inFolder(): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'wherry-objects-'));
  const objects = new Map<string, Buffer>();
  const set = objects.set.bind(objects);
  objects.set = (name, content) => {
    writeFileSync(join(folder, name), content);
    return set(name, content);
  };
  return {
    source: new FolderSource(folder),
    objects,
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

/** The server's own route, over real HTTP. */
async function overHttp(): Promise<Bench> {
  const objects = new Map<string, Buffer>();
  const app = fastify({ forceCloseConnections: true });
  speakProblems(app, pino({ level: 'silent' }));
  objectRoutes(app, {
    reader: {
      open: async (name) => {
        const content = objects.get(name);
        return (
          content && {
            bytes: content.length,
            readInto: async (targets, position) => {
              let at = position;
              for (const target of targets) at += content.copy(target, 0, at);
            },
            release: () => {},
          }
        );
      },
      close: async () => {},
    },
    admit: async () => 'boat-1',
    egress: async () => {},
  });
  const base = await app.listen({ host: '127.0.0.1', port: 0 });
  return { source: new HttpSource({ base: `${base}/objects` }), objects, close: () => app.close() };
}

async function inMemory(): Promise<Bench> {
  const source = new FakeSource();
  return { source, objects: source.objects, close: async () => {} };
}

const NAME = `blob-${'a'.repeat(64)}`;
const { signal } = new AbortController();

describe.each([
  ['FakeSource', inMemory],
  ['MqttSource', overMqtt],
  ['FolderSource', inFolder],
  ['HttpSource', overHttp],
] as const)('%s', (_name, open) => {
  let bench: Bench;
  afterEach(() => bench.close());
  const holding = async (bytes: number) => {
    bench = await open();
    const content = randomBytes(bytes);
    bench.objects.set(NAME, content);
    return content;
  };

  test.each([
    1,
    LIMITS.chunkBytes,
    LIMITS.chunkBytes + 1,
    5 * LIMITS.chunkBytes,
  ])('reads a whole object of %i bytes, at its very limit too', async (bytes) => {
    const content = await holding(bytes);
    expect((await bench.source.read(NAME, bytes, signal)).equals(content)).toBe(true);
  });

  test('refuses an object past the limit', async () => {
    await holding(LIMITS.chunkBytes + 1);
    await expect(bench.source.read(NAME, LIMITS.chunkBytes, signal)).rejects.toMatchObject({
      code: 'too-large',
    });
  });

  test('says that it does not have an object', async () => {
    await holding(1);
    await expect(bench.source.read('timestamp', 10, signal)).rejects.toMatchObject({
      code: 'unknown-object',
    });
    await expect(bench.source.fetch('timestamp', [0], async () => {}, signal)).rejects.toMatchObject({
      code: 'unknown-object',
    });
  });

  test('delivers the wanted chunks and no others', async () => {
    const content = await holding(9 * LIMITS.chunkBytes + 7);
    const taken = new Map<number, Buffer>();
    await bench.source.fetch(
      NAME,
      [1, 4, 9],
      async (index, payload) => {
        taken.set(index, Buffer.from(payload));
      },
      signal,
    );
    expect([...taken.keys()].sort()).toEqual([1, 4, 9]);
    expect(taken.get(4)).toEqual(content.subarray(4 * LIMITS.chunkBytes, 5 * LIMITS.chunkBytes));
    expect(taken.get(9)).toEqual(content.subarray(9 * LIMITS.chunkBytes));
  });

  test('refuses a chunk past the end of the object', async () => {
    await holding(10);
    await expect(bench.source.fetch(NAME, [3], async () => {}, signal)).rejects.toMatchObject({
      code: 'rejected',
    });
  });

  test('fails with what the taker threw', async () => {
    await holding(10);
    const fetched = bench.source.fetch(
      NAME,
      [0],
      async () => {
        throw new Error('disk full');
      },
      signal,
    );
    await expect(fetched).rejects.toThrow('disk full');
  });

  test('stops when it is called off, before and on the way', async () => {
    await holding(3 * LIMITS.chunkBytes);
    await expect(bench.source.read(NAME, 1e9, AbortSignal.abort())).rejects.toMatchObject({
      code: 'aborted',
    });
    const controller = new AbortController();
    const callOff = async () => controller.abort();
    await expect(bench.source.fetch(NAME, [0, 1, 2], callOff, controller.signal)).rejects.toMatchObject({
      code: 'aborted',
    });
  });
});
