import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { decodeChunk, encodeBitmap } from '../../protocol/chunk-frame.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { checkFault, type Fault } from '../../protocol/messages.ts';
import { until } from '../../test/support/until.ts';
import { type ChunkLink, ChunkServer } from './chunk-server.ts';
import type { ObjectReader } from './object-reader.ts';

const NAME = `blob-${'a'.repeat(64)}`;
const CHUNK = LIMITS.minChunkBytes;
const CONTENT = randomBytes(10 * CHUNK + 5);

/** What reached devices, in order; the socket takes nothing while it is blocked. */
class FakeLink implements ChunkLink {
  readonly chunks: { device: string; request: number; index: number; payload: Buffer }[] = [];
  readonly faults: Fault[] = [];
  isGone = false;
  isSlow = false;
  #blocked: Promise<void> | undefined;

  block(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#blocked = promise;
    return resolve;
  }

  async admit(): Promise<void> {}

  headOf(device: string): Buffer {
    return Buffer.from(`to ${device}:`);
  }

  isPaced(): boolean {
    return this.isSlow;
  }

  async data(device: string, packets: Buffer): Promise<boolean> {
    await this.#blocked;
    if (this.isGone) return false;
    const head = this.headOf(device);
    for (let rest = packets; rest.length > 0; ) {
      if (!rest.subarray(0, head.length).equals(head)) throw new Error('a packet begins with another head');
      const messages = rest.subarray(head.length);
      const end = messages.indexOf(head);
      // Its memory serves the next.
      const chunk = decodeChunk(Buffer.from(end < 0 ? messages : messages.subarray(0, end)));
      if (!chunk) throw new Error('no chunk');
      this.chunks.push({ device, ...chunk });
      rest = end < 0 ? Buffer.alloc(0) : messages.subarray(end);
    }
    return true;
  }

  async fault(_device: string, fault: Fault): Promise<boolean> {
    const checked = checkFault(fault);
    if (!checked.ok) throw new Error(checked.faults.join());
    this.faults.push(checked.value);
    return true;
  }
}

let link: FakeLink;
let server: ChunkServer;
let open: number;
let reads: number;
let isBroken: boolean;

beforeEach(() => {
  link = new FakeLink();
  open = 0;
  reads = 0;
  isBroken = false;
  const reader: ObjectReader = {
    open: async (name) => {
      if (name !== NAME) return undefined;
      open++;
      return {
        bytes: CONTENT.length,
        readInto: async (targets, position) => {
          if (isBroken) throw new Error('EIO');
          reads++;
          let at = position;
          for (const target of targets) at += CONTENT.copy(target, 0, at);
        },
        release: () => {
          open--;
        },
      };
    },
    close: async () => {},
  };
  server = new ChunkServer(reader, link, pino({ level: 'silent' }));
});

const ask = (request: number, indexes: number[], change: object = {}, device = 'cam-1') =>
  server.take(
    device,
    Buffer.from(
      JSON.stringify({ v: 1, request, object: NAME, chunkBytes: CHUNK, ...encodeBitmap(indexes), ...change }),
    ),
  );

test('serves the chunks of a request in order, the last one shorter', async () => {
  await ask(7, [0, 3, 10]);
  await until(() => link.chunks.length === 3);
  expect(link.chunks.map(({ request, index }) => [request, index])).toEqual([
    [7, 0],
    [7, 3],
    [7, 10],
  ]);
  expect(link.chunks[1]?.payload).toEqual(CONTENT.subarray(3 * CHUNK, 4 * CHUNK));
  expect(link.chunks[2]?.payload).toHaveLength(5);
  await until(() => open === 0, { what: 'the object to be let go' });
});

test.each([
  [false, 2],
  [true, 4],
])('reads and sends neighbours at once, unless the device is held to a rate (%j)', async (isSlow, times) => {
  link.isSlow = isSlow;
  await ask(1, [1, 2, 3, 9]);
  await until(() => link.chunks.length === 4);
  expect(link.chunks.map(({ index }) => index)).toEqual([1, 2, 3, 9]);
  for (const { index, payload } of link.chunks)
    expect(payload).toEqual(CONTENT.subarray(index * CHUNK, (index + 1) * CHUNK));
  expect(reads).toBe(times);
});

test('serves one request of a device after the other, and devices side by side', async () => {
  const unblock = link.block();
  await ask(1, [0, 1]);
  await ask(2, [2]);
  await ask(9, [5], {}, 'cam-2');
  expect(link.chunks).toEqual([]);
  unblock();
  await until(() => link.chunks.length === 4);
  const of = (device: string) => link.chunks.filter((chunk) => chunk.device === device);
  expect(of('cam-1').map(({ request, index }) => [request, index])).toEqual([
    [1, 0],
    [1, 1],
    [2, 2],
  ]);
  expect(of('cam-2')).toHaveLength(1);
});

test('a device that asks too much at a time is told to come back, and is served what waits', async () => {
  const unblock = link.block();
  for (let request = 1; request <= 6; request++) await ask(request, [0]);
  expect(link.faults).toMatchObject([{ request: 6, code: 'busy' }]);
  expect(link.faults[0]?.retryAfterMs).toBeGreaterThan(0);
  unblock();
  await until(() => link.chunks.length === 5);
  await ask(7, [0]);
  await until(() => link.chunks.length === 6);
});

test.each([
  ['out-of-range', [0, 11], {}],
  ['unknown-object', [0], { object: 'timestamp' }],
] as const)('answers %s to %j %j, and no chunk', async (code, indexes, change) => {
  await ask(3, [...indexes], change);
  await until(() => link.faults.length === 1);
  expect(link.faults).toMatchObject([{ request: 3, code, retryAfterMs: 0 }]);
  expect(link.chunks).toEqual([]);
  expect(open).toBe(0);
});

test.each([
  [4, '{"v":1,"request":4}'],
  [4, '{"v":2,"request":4,"object":"timestamp","chunkBytes":65536,"first":0,"bitmap":"gA=="}'],
  [0, '{"v":1,"request":-4}'],
  [0, 'null'],
  [0, '['],
])('answers malformed to request %i: %s', async (request, text) => {
  await server.take('cam-1', Buffer.from(text));
  expect(link.faults).toMatchObject([{ request, code: 'malformed' }]);
});

test('a bitmap without a bit is malformed', async () => {
  await ask(5, [0], { bitmap: Buffer.alloc(2).toString('base64') });
  await until(() => link.faults.length === 1);
  expect(link.faults).toMatchObject([{ request: 5, code: 'malformed' }]);
});

test('what cannot be read is to be asked for again, and nothing stays open', async () => {
  isBroken = true;
  await ask(1, [0, 1]);
  await until(() => link.faults.length === 1);
  expect(link.faults).toMatchObject([{ request: 1, code: 'busy' }]);
  expect(open).toBe(0);
});

test('what an older session asked for is not sent to the one that takes its place', async () => {
  const unblock = link.block();
  await ask(1, [0, 1, 2, 3]);
  server.forget('cam-1');
  await ask(2, [7]);
  unblock();
  await until(() => open === 0 && link.chunks.length > 0, { what: 'both to end' });
  expect(link.chunks.map(({ request, index }) => [request, index])).toEqual([[2, 7]]);
});

test('a session that ended gets nothing more, the next one does', async () => {
  const unblock = link.block();
  await ask(1, [0, 1, 2]);
  await ask(2, [3]);
  server.forget('cam-1');
  link.isGone = true;
  unblock();
  await until(() => open === 0, { what: 'the object to be let go' });
  expect(link.chunks).toEqual([]);
  link.isGone = false;
  await ask(3, [4]);
  await until(() => link.chunks.length === 1);
  expect(link.chunks[0]).toMatchObject({ request: 3, index: 4 });
});
