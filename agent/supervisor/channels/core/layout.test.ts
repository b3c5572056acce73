import fc from 'fast-check';
import { expect, test } from 'vitest';
import { serviceChannel } from '../../from-manifest.ts';
import { crc32c } from './crc32c.ts';
import { channelNumber, createdNsOf, filesOf, META, newMeta, ringFixed, viewOf } from './layout.ts';
import { namesIn, readPeers, withRunning, writePeers } from './peers.ts';

const frames = serviceChannel('frames', {
  publishers: ['camera', 'second'],
  subscribers: ['detector'],
  slotSizeBytes: 1000,
  depth: 8,
  mode: 'reliable',
});
const NOW_NS = 1_795_255_200_123_456_789n;
const text = (bytes: Uint8Array, at: number): string =>
  String.fromCharCode(...bytes.subarray(at, bytes.indexOf(0, at)));

test("the checksum is Castagnoli's, by its check value and RFC 3720's examples", () => {
  expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe306_9283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a91_36aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8_ab43);
});

test('meta says everything that a library needs, at the places it looks', () => {
  const meta = newMeta(frames, NOW_NS);
  const view = viewOf(meta);
  expect(meta.length).toBe(8192);
  expect(String.fromCharCode(...meta.subarray(0, 4))).toBe('WIPM');
  expect([view.getUint16(4, true), view.getUint16(6, true)]).toEqual([1, 0]);
  const words = [8, 12, 16, 20, 24, 28, 32, 36].map((at) => view.getUint32(at, true));
  expect(words).toEqual([8192, channelNumber(frames), 1000, 64 + 1024, 8, 2, 2, 1]);
  expect(view.getBigUint64(40, true)).toBe(256n + 8n * 1088n);
  expect(view.getBigUint64(48, true)).toBe(NOW_NS);
  expect(view.getUint32(56, true)).toBe(1000);
  expect(view.getUint32(60, true)).toBe(crc32c(meta.subarray(0, 60)));
  expect(text(meta, 64)).toBe('frames');
  expect([text(meta, 192), text(meta, 320), text(meta, 2240)]).toEqual(['camera', 'second', 'detector']);
});

test('a ring begins with its own copy, and a checksum of it', () => {
  const ring = ringFixed(frames, NOW_NS);
  const view = viewOf(ring);
  expect(String.fromCharCode(...ring.subarray(0, 4))).toBe('WIPC');
  const words = [8, 12, 16, 20, 24, 28].map((at) => view.getUint32(at, true));
  expect(words).toEqual([256, 1088, 1000, 8, 0, channelNumber(frames)]);
  expect([view.getBigUint64(32, true), view.getBigUint64(40, true)]).toEqual([256n + 8n * 1088n, NOW_NS]);
  expect(view.getUint32(48, true)).toBe(crc32c(ring.subarray(0, 48)));
});

test('a meta counts as whole only with every fixed byte as it was written', () => {
  const meta = newMeta(frames, NOW_NS);
  expect(createdNsOf(meta, frames)).toBe(NOW_NS);
  expect(createdNsOf(meta.subarray(0, 8191), frames)).toBeUndefined();
  expect(createdNsOf(new Uint8Array(8192), frames)).toBeUndefined();
  fc.assert(
    fc.property(fc.nat(META.fixedBytes - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const spoilt = meta.slice();
      spoilt[at] = (spoilt[at] ?? 0) ^ change;
      expect(createdNsOf(spoilt, frames)).toBeUndefined();
    }),
  );
});

test('a definition that differs in anything has another id and number; the same one has the same', () => {
  const { name, id, ...definition } = frames;
  expect(serviceChannel(name, { ...definition })).toEqual(frames);
  expect(id).toMatch(/^frames\.[0-9a-f]{12}$/);
  const others = [
    serviceChannel('frames2', definition),
    serviceChannel(name, { ...definition, depth: 16 }),
    serviceChannel(name, { ...definition, slotSizeBytes: 1001 }),
    serviceChannel(name, { ...definition, mode: 'lossy' }),
    serviceChannel(name, { ...definition, subscribers: ['camera'] }),
  ];
  expect(new Set([frames, ...others].map((each) => each.id)).size).toBe(6);
  expect(new Set([frames, ...others].map(channelNumber)).size).toBe(6);
});

test('its files: meta is the first of the list, each ring and ack belongs to one service', () => {
  expect(filesOf(frames)).toEqual([
    { name: 'meta', bytes: 8192, writer: undefined, kind: 'meta' },
    { name: 'ring.camera', bytes: 8960, writer: 'camera', kind: 'ring' },
    { name: 'ring.second', bytes: 8960, writer: 'second', kind: 'ring' },
    { name: 'ack.detector', bytes: 256, writer: 'detector', kind: 'ack' },
  ]);
});

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const peers = fc.record({
  publishers: fc.array(fc.record({ isUp: fc.boolean(), starts: u32, startedAt: fc.nat() }), {
    minLength: 2,
    maxLength: 2,
  }),
  subscribers: fc.array(fc.record({ isUp: fc.boolean(), isEvicted: fc.boolean(), evictions: u32 }), {
    minLength: 1,
    maxLength: 1,
  }),
});

test('what is written of the peers is read again, and nothing else of meta changes', () => {
  fc.assert(
    fc.property(peers, (state) => {
      const before = newMeta(frames, NOW_NS);
      const after = writePeers(before, state);
      expect(readPeers(after, frames)).toEqual(state);
      expect(createdNsOf(after, frames)).toBe(NOW_NS);
      expect(after.subarray(0, META.publishers)).toEqual(before.subarray(0, META.publishers));
      expect(namesIn(after)).toEqual(['camera', 'second', 'detector']);
    }),
  );
});

test('names are read of a meta that is whole only', () => {
  const meta = newMeta(frames, NOW_NS);
  expect(namesIn(meta)).toEqual(['camera', 'second', 'detector']);
  meta[32] = 200;
  expect(namesIn(meta)).toBeUndefined();
  expect(namesIn(new Uint8Array(10))).toBeUndefined();
});

test('each start of a publisher counts once, whoever looks, and an end counts nothing', () => {
  const none = readPeers(newMeta(frames, NOW_NS), frames);
  const first = withRunning(none, frames, new Map([['camera', 1000]]));
  expect(first.publishers[0]).toEqual({ isUp: true, starts: 1, startedAt: 1000 });
  expect(first.publishers[1]).toMatchObject({ isUp: false, starts: 0 });
  expect(first.subscribers[0]?.isUp).toBe(false);
  expect(withRunning(first, frames, new Map([['camera', 1000]]))).toEqual(first);
  const down = withRunning(first, frames, new Map([['detector', 1500]]));
  expect(down.publishers[0]).toMatchObject({ isUp: false, starts: 1 });
  expect(down.subscribers[0]?.isUp).toBe(true);
  expect(withRunning(down, frames, new Map([['camera', 2000]])).publishers[0]).toMatchObject({
    isUp: true,
    starts: 2,
  });
});
