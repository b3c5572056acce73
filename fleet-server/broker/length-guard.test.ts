import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../protocol/limits.ts';
import { LengthGuard } from './length-guard.ts';

/** A packet of `bytes` in all: first byte, length digits, body of zeros. */
function packet(type: number, bytes: number): Buffer {
  for (const digits of [1, 2, 3, 4]) {
    const length = bytes - 1 - digits;
    if (length >= 128 ** digits) continue;
    const head = [type << 4];
    for (let digit = 0; digit < digits; digit++) {
      head.push((Math.floor(length / 128 ** digit) & 127) | (digit < digits - 1 ? 128 : 0));
    }
    return Buffer.concat([Buffer.from(head), Buffer.alloc(length)]);
  }
  throw new Error('too long');
}

describe('length guard', () => {
  test('a CONNECT of exactly the limit passes, one byte more does not', () => {
    expect(new LengthGuard().inspect(packet(1, LIMITS.preAuthPacketBytes))).toBeUndefined();
    expect(new LengthGuard().inspect(packet(1, LIMITS.preAuthPacketBytes + 1))).toContain('at most 4096');
  });

  test('the length alone is enough: no body needs to arrive', () => {
    expect(new LengthGuard().inspect(Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]))).toContain('declares');
  });

  test('a fifth length digit is refused', () => {
    expect(new LengthGuard().inspect(Buffer.from([0x10, 0x80, 0x80, 0x80, 0x80]))).toContain('four digits');
  });

  test('a stream that does not start with CONNECT is refused', () => {
    expect(new LengthGuard().inspect(packet(3, 10))).toContain('CONNECT');
  });

  test('an admitted session may send larger packets, up to its own limit', () => {
    const guard = new LengthGuard();
    expect(guard.inspect(packet(1, 40))).toBeUndefined();
    guard.admit();
    expect(guard.inspect(packet(3, LIMITS.packetBytes))).toBeUndefined();
    expect(guard.inspect(packet(3, LIMITS.packetBytes + 1))).toContain('at most');
  });

  test('headers split between chunks are read the same', () => {
    const guard = new LengthGuard();
    const bytes = Buffer.concat([packet(1, 300), packet(3, 2_000), packet(3, LIMITS.preAuthPacketBytes + 1)]);
    const faults = [...bytes].map((byte) => guard.inspect(Buffer.from([byte])));
    expect(faults.findIndex((fault) => fault !== undefined)).toBe(300 + 2_000 + 2);
  });
});
