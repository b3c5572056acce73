import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LIMITS } from '../../protocol/limits.ts';
import { MessageSieve } from './message-sieve.ts';

const TOPIC = 'dn/default/boat-1/data';

/** A packet by its first byte and its body. [MQTT 3.1.1 §2.2] */
function packet(first: number, body: Buffer): Buffer {
  const digits: number[] = [];
  for (let rest = body.length; digits.length === 0 || rest > 0; rest = Math.floor(rest / 128))
    digits.push((rest % 128) + (rest >= 128 ? 128 : 0));
  return Buffer.concat([Buffer.from([first, ...digits]), body]);
}

/** [MQTT 3.1.1 §3.3] */
function publish(topic: string, payload: Buffer, qos: 0 | 1 = 0, isRetained = false): Buffer {
  const id = qos === 0 ? [] : [0, 7];
  const head = Buffer.from([topic.length >> 8, topic.length & 255, ...Buffer.from(topic), ...id]);
  return packet(0x30 + 2 * qos + Number(isRetained), Buffer.concat([head, payload]));
}

/** What came out when the stream was read in parts of these sizes, in turn. */
function sift(stream: Buffer, sizes: number[]) {
  const [taken, passed]: [Buffer[], Buffer[]] = [[], []];
  const sieve = new MessageSieve(TOPIC, (payload) => taken.push(Buffer.from(payload)));
  let fault: string | undefined;
  for (let at = 0, turn = 0; at < stream.length && !fault; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    // Memory that is used again.
    const part = Buffer.from(stream.subarray(at, at + size));
    fault = sieve.take(part, (bytes) => passed.push(Buffer.from(bytes)));
    part.fill(0);
    at += size;
  }
  return { taken, passed: Buffer.concat(passed), fault };
}

const OTHERS = [
  packet(0x20, Buffer.from([0, 0])),
  packet(0xd0, Buffer.alloc(0)),
  publish('dn/default/boat-1/fault', Buffer.from('{}')),
  publish('dn/default/boat-1/dat', Buffer.alloc(300, 1)),
  publish(`${TOPIC}a`, Buffer.alloc(300, 2)),
  publish(TOPIC, Buffer.from('kept'), 1),
  publish(TOPIC, Buffer.from('kept'), 0, true),
  publish('a', Buffer.alloc(0)),
];

test('takes the messages of its topic, whole and in order, and lets all else by unchanged, however it is cut', () => {
  const anyPacket = fc.oneof(
    fc.constantFrom(...OTHERS).map((bytes) => ({ bytes, payload: undefined })),
    fc
      .uint8Array({ maxLength: 400 })
      .map((bytes) => ({ bytes: publish(TOPIC, Buffer.from(bytes)), payload: Buffer.from(bytes) })),
  );
  const sizes = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(fc.array(anyPacket, { maxLength: 12 }), sizes, (packets, parts) => {
      const { taken, passed, fault } = sift(Buffer.concat(packets.map(({ bytes }) => bytes)), parts);
      expect(fault).toBeUndefined();
      expect(taken).toEqual(packets.flatMap(({ payload }) => payload ?? []));
      const others = packets.filter(({ payload }) => payload === undefined).map(({ bytes }) => bytes);
      expect(passed).toEqual(Buffer.concat(others));
    }),
  );
});

test('a chunk as it comes in TLS records', () => {
  const payload = Buffer.alloc(LIMITS.chunkBytes + 24, 'chunk');
  const { taken, passed } = sift(Buffer.concat([publish(TOPIC, payload), publish(TOPIC, payload)]), [16_384]);
  expect(taken).toEqual([payload, payload]);
  expect(passed).toHaveLength(0);
});

test('a packet over the limit of a message is a fault, whosever it is, before any of it is kept', () => {
  for (const topic of [TOPIC, 'other']) {
    const head = publish(topic, Buffer.alloc(LIMITS.publishBytes)).subarray(0, 4);
    expect(sift(head, [1]).fault).toMatch(/declares 13\d{4} bytes; at most 131072/);
  }
  expect(sift(Buffer.from([0x30, 255, 255, 255, 255, 1]), [9]).fault).toMatch(/more than four digits/);
});
