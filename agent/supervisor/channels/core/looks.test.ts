import fc from 'fast-check';
import { expect, test } from 'vitest';
import { serviceChannel } from '../../from-manifest.ts';
import { type ChannelLook, channelStatus, lossesBetween, ratesBetween } from './channel-status.ts';
import { ackCounters, lagOf, ringCounters } from './counters.ts';
import { ACK, RING, SLOT, viewOf } from './layout.ts';
import { lockOf, messagesToTake, readSlotHeader, slotOffset } from './slot.ts';

const channel = serviceChannel('frames', {
  publishers: ['camera', 'second'],
  subscribers: ['detector'],
  slotSizeBytes: 100,
  depth: 8,
  mode: 'lossy',
});

test('any bytes at all are counters that a report can carry', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 200 }), (ring, ack) => {
      const counters = ringCounters(ring);
      const acks = ackCounters(ack, 2);
      const numbers = [
        counters.bytes,
        counters.blocked,
        counters.wakes,
        ...acks.flatMap((each) => [each.received, lagOf(counters, each)]),
      ];
      for (const number of numbers) expect(Number.isSafeInteger(number) && number >= 0).toBe(true);
    }),
  );
});

test('counters are read where the libraries write them', () => {
  const header = new Uint8Array(RING.countersEnd);
  const view = viewOf(header);
  view.setUint32(68, 3, true);
  for (const [index, at] of [72, 128, 200, 208, 144].entries())
    view.setBigUint64(at, BigInt(index + 10), true);
  view.setUint32(192, 1, true);
  expect(ringCounters(header)).toEqual({
    epoch: 3,
    head: 10n,
    bytes: 11,
    blocked: 12,
    dropped: 13,
    wakes: 14,
    isWaiting: true,
  });
  const ack = new Uint8Array(2 * ACK.bytes);
  const second = viewOf(ack.subarray(128));
  second.setUint32(4, 9, true);
  for (const [index, at] of [64, 72, 8, 16, 24].entries()) second.setBigUint64(at, BigInt(index + 1), true);
  expect(ackCounters(ack, 2)[1]).toEqual({
    attachedEpoch: 9,
    cursor: 1n,
    received: 2,
    overruns: 3,
    resets: 4,
    torn: 5,
  });
});

const look = (
  at: number,
  heads: bigint[],
  more: Partial<{ overruns: number; resets: number }> = {},
): ChannelLook => ({
  at,
  peers: {
    publishers: heads.map(() => ({ isUp: true, starts: 1, startedAt: 1 })),
    subscribers: [{ isUp: true, isEvicted: false, evictions: 0 }],
  },
  rings: heads.map((head) => ({
    epoch: 1,
    head,
    bytes: Number(head) * 10,
    blocked: 0,
    dropped: 0,
    wakes: 0,
    isWaiting: false,
  })),
  acks: [
    heads.map(() => ({
      attachedEpoch: 1,
      cursor: 4n,
      received: 4,
      overruns: 0,
      resets: 0,
      torn: 0,
      ...more,
    })),
  ],
});

test('a status adds up the rings of a subscriber and shows the lag where it is most', () => {
  const shown = channelStatus(channel, look(0, [10n, 6n], { overruns: 2 }), {
    since: 5,
    usedBytes: 1,
    fault: undefined,
    rates: [],
  });
  expect(shown.subscribers).toMatchObject([{ service: 'detector', lag: 6, received: 8, overruns: 4 }]);
  expect(shown.publishers.map(({ service, messages }) => [service, messages])).toEqual([
    ['camera', 10],
    ['second', 6],
  ]);
});

test('rates are what was published between two looks; a count that went back is none', () => {
  expect(ratesBetween(undefined, look(0, [10n, 6n]))).toEqual([]);
  expect(ratesBetween(look(0, [10n, 6n]), look(2000, [30n, 1n]))).toEqual([
    { messagesPerSecond: 10, bytesPerSecond: 100 },
    { messagesPerSecond: 0, bytesPerSecond: 0 },
  ]);
});

test('losses are told once each, not with the first look', () => {
  const [before, after] = [
    look(0, [9n, 9n], { overruns: 2, resets: 1 }),
    look(1, [9n, 9n], { overruns: 5, resets: 1 }),
  ];
  expect(lossesBetween(channel, undefined, before)).toEqual([]);
  expect(lossesBetween(channel, before, after)).toEqual([{ service: 'detector', overruns: 6, resets: 0 }]);
  expect(lossesBetween(channel, after, after)).toEqual([]);
});

test('a message is read only where its own lock stands, and never beyond its slot', () => {
  const header = new Uint8Array(SLOT.headerBytes);
  const view = viewOf(header);
  view.setUint32(0, lockOf(9n), true);
  view.setUint32(4, 0xffff_ffff, true);
  view.setBigUint64(16, 77n, true);
  view.setUint32(24, 5, true);
  expect(readSlotHeader(channel, 9n, header)).toEqual({ length: 100, timestampNs: 77n, type: 5 });
  expect(readSlotHeader(channel, 1n, header)).toBeUndefined();
  view.setUint32(0, lockOf(9n) - 1, true);
  expect(readSlotHeader(channel, 9n, header)).toBeUndefined();
  expect(readSlotHeader(channel, 9n, header.subarray(0, 30))).toBeUndefined();
  expect(lockOf(0x8000_0000n)).toBe(2);
  expect([slotOffset(channel, 0n), slotOffset(channel, 9n)]).toEqual([256, 256 + 192]);
});

test('a look takes what is there, of much the newest, and accounts for every other', () => {
  fc.assert(
    fc.property(
      fc.bigInt(0n, 1000n),
      fc.bigInt(0n, 1000n),
      fc.integer({ min: 1, max: 64 }),
      (next, head, most) => {
        const { from, lost } = messagesToTake(8, next, head, most);
        expect(from <= head).toBe(true);
        expect(head - from <= BigInt(Math.min(8, most))).toBe(true);
        // A count that went back begins anew, with nothing lost.
        expect([from, BigInt(lost)]).toEqual(head >= next ? [from, from - next] : [head, 0n]);
      },
    ),
  );
});
