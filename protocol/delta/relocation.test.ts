import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  branchOffset,
  lowOffset,
  pageOffset,
  withBranchOffset,
  withLowOffset,
  withPageOffset,
} from './arm64.ts';
import { masked } from './masked.ts';
import { FORMS, Relocation } from './relocation.ts';
import { type Run, runBytes } from './runs.ts';

const BLOCK = 4096;
const ranges = [{ first: 100, blocks: 4 }];

function residueOf(next: Buffer, old: Buffer, runs: Run[], form: number): Buffer {
  const residue = Buffer.alloc(runBytes(runs));
  const forms = new Uint8Array(Math.ceil(next.length / BLOCK)).fill(form);
  Relocation.subtract({ next, old, ranges, forms, residue }, runs);
  const back = Buffer.from(next);
  for (const { at, length } of runs) back.fill(0xaa, at, at + length);
  Relocation.add({ next: back, old, ranges, forms, residue: Buffer.from(residue) }, runs);
  expect(back.equals(next)).toBe(true);
  return residue;
}

const nonZero = (data: Buffer): number => data.filter((byte) => byte !== 0).length;
const whole = (next: Buffer, old: Buffer): Run[] => [
  { at: 0, from: 0, length: Math.min(next.length, old.length) },
];

test('any content, along any runs, in any form, comes out again', () => {
  // Bytes that begin references, among others.
  const byte = fc.oneof(
    fc.constantFrom(0xe8, 0x0f, 0x85, 0x48, 0x8d, 0x05, 0, 0x90, 0x94, 0xff),
    fc.nat(255),
  );
  const bytes = fc.array(byte, { minLength: 40, maxLength: 400 }).map((data) => Buffer.from(data));
  const form = fc.constantFrom(...FORMS.keys());
  fc.assert(
    fc.property(bytes, bytes, form, fc.nat(20), fc.nat(20), (next, old, kind, at, from) => {
      const length = Math.min(next.length - at, old.length - from);
      const cut = length >> 1;
      residueOf(
        next,
        old,
        [
          { at, from, length: cut },
          { at: at + cut, from: 0, length: length - cut },
        ],
        kind,
      );
    }),
    { numRuns: 300 },
  );
});

/** Calls and loads of some targets, by bytes; `moved` says where a target or an instruction now is. */
function x86(moved: (at: number) => number): Buffer {
  const out = Buffer.alloc(3 * BLOCK, 0x90);
  for (let at = 0, call = 0; at + 16 <= 2 * BLOCK; at += 16, call++) {
    const place = moved(at);
    const target = moved(2 * BLOCK + 64 * (call % 40));
    const [opcodes, end] = call % 2 ? [[0xe8], 5] : [[0x48, 0x8d, 0x05], 7];
    Buffer.from(opcodes).copy(out, place);
    out.writeInt32LE(target - place - end, place + end - 4);
  }
  return out;
}

/** ADRP and ADD to a target, then BL to another. */
function arm64(moved: (at: number) => number): Buffer {
  const out = Buffer.alloc(3 * BLOCK);
  const put = (word: number, at: number) => out.writeInt32LE(word, at);
  for (let at = 0, call = 0; at + 16 <= 2 * BLOCK; at += 16, call++) {
    const place = moved(at);
    const target = moved(2 * BLOCK + 52 * (call % 60));
    put(withPageOffset(0x90000003 | 0, (target >> 12) - (place >> 12)), place);
    put(withLowOffset(0x91000063 | 0, target & 0xfff), place + 4);
    put(withBranchOffset(0x94000000 | 0, target - place - 8), place + 8);
  }
  return out;
}

/** A table of addresses of 64 bits, ascending. */
function words(moved: (at: number) => number): Buffer {
  const out = Buffer.alloc(BLOCK);
  for (let at = 0; at < BLOCK; at += 8) out.writeInt32LE(moved(0x5000 + 24 * at), at);
  return out;
}

const unmoved = (at: number): number => at;
const inserted = (at: number): number => (at >= 2 * BLOCK + 640 ? at + 36 : at);
const shifted = (at: number): number => (at >= 0x9000 ? at + 752 : at);

describe('what only moved leaves hardly anything', () => {
  test.each([
    ['calls and loads of x86-64', x86, inserted, 1],
    ['calls and loads of arm64', arm64, inserted, 2],
    ['a table of addresses', words, shifted, 3],
  ])('%s', (_what, make, moved, form) => {
    const [old, next] = [make(unmoved), make(moved)];
    const plain = nonZero(residueOf(next, old, whole(next, old), 0));
    const left = nonZero(residueOf(next, old, whole(next, old), form));
    expect(plain).toBeGreaterThan(200);
    expect(left).toBeLessThan(plain / 4);
  });
});

test('masked, code that only moved is the same', () => {
  for (const make of [x86, arm64]) {
    const [a, b] = [masked(make(unmoved)), masked(make(inserted))];
    expect(nonZero(Buffer.from(a.map((byte, at) => byte ^ (b[at] as number))))).toBeLessThan(30);
    expect(make(unmoved).equals(make(inserted))).toBe(false);
  }
});

test('fields of A64 instructions are read as they were written', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -(2 ** 20), max: 2 ** 20 - 1 }),
      fc.nat(4095),
      fc.nat(31),
      (offset, low, register) => {
        expect(pageOffset(withPageOffset(0x90000000 | register, offset))).toBe(offset);
        expect(branchOffset(withBranchOffset(0x94000000, offset * 4))).toBe(offset * 4);
        // LDR Xt: counts in eight bytes.
        expect(lowOffset(withLowOffset(0xf9400000 | register, low & ~7))).toBe(low & ~7);
        expect(withPageOffset(0x90000000 | register, offset) & 31).toBe(register);
      },
    ),
  );
  // bl .-4, adrp x0, .+4096 and ldr q1, [x0, #32] as GNU as assembles them.
  expect(branchOffset(0x97ffffff | 0)).toBe(-4);
  expect(pageOffset(0xb0000000 | 0)).toBe(1);
  expect(lowOffset(0x3dc00801)).toBe(32);
});
