import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { decodeEnvironment, encodeEnvironment } from './environment.ts';

test('a block is CRC, names with their values, and zeros to its end', () => {
  const block = encodeEnvironment({ active: 'b', trial: '' }, 512);
  expect(block).toHaveLength(512);
  expect(block.readUInt32LE(0)).toBe(crc32(block.subarray(4)));
  expect(block.subarray(4, 4 + 17).toString('latin1')).toBe('active=b\0trial=\0\0');
  expect(decodeEnvironment(block)).toEqual({ active: 'b', trial: '' });
});

test('a block with a flipped bit, or none at all, is not read', () => {
  const block = encodeEnvironment({ active: 'b' }, 512);
  block[300] = 1;
  expect(decodeEnvironment(block)).toBeUndefined();
  expect(decodeEnvironment(Buffer.alloc(512))).toBeUndefined();
  expect(decodeEnvironment(Buffer.alloc(0))).toBeUndefined();
});

test('what does not fit a block is refused', () => {
  expect(encodeEnvironment({ token: 'x'.repeat(500) }, 512)).toHaveLength(512);
  expect(() => encodeEnvironment({ token: 'x'.repeat(501) }, 512)).toThrow(
    'Cannot write the boot environment: it takes 513 bytes; 512 are there',
  );
});
