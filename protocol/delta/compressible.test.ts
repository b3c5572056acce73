import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { isDense } from './compressible.ts';
import { likestOf } from './likest.ts';

const MIB = 1024 * 1024;
const blobOf = (content: Buffer) => ({
  bytes: content.length,
  read: (position: number, length: number) => content.subarray(position, position + length),
});

test('a blob of noise is dense, one of which an eighth shrinks is not, wherever that eighth lies', () => {
  const noise = randomBytes(20 * MIB);
  expect(isDense(blobOf(noise))).toBe(true);
  for (const at of [0, 7, 17])
    expect(isDense(blobOf(Buffer.from(noise).fill('words ', at * MIB, (at + 2.5) * MIB)))).toBe(false);
});

test('a small blob is tried', () => {
  expect(isDense(blobOf(randomBytes(MIB)))).toBe(false);
});

test('a dense blob is built on an old one only where the two have something in common', () => {
  const next = randomBytes(20 * MIB);
  const [alike, other] = [Buffer.concat([randomBytes(MIB), next.subarray(0, 6 * MIB)]), randomBytes(6 * MIB)];
  const taken = (olds: Buffer[], isDense = true) => likestOf(blobOf(next), olds.map(blobOf), isDense);
  expect(taken([other])).toBeUndefined();
  expect(taken([other, alike])).toBe(1);
  expect(taken([other], false)).toBe(0);
  expect(taken([])).toBeUndefined();
});
