import { expect, test } from 'vitest';
import { BLOCK, octalAt, parseHeader, parseTime } from './tar-header.ts';
import { parsePax, xattrsOf } from './tar-pax.ts';

const header = (fill: (block: Buffer) => void): Buffer => {
  const block = Buffer.alloc(BLOCK);
  fill(block);
  return block;
};

test.each([
  ['1.5', 1n, 500_000_000],
  ['-1.25', -2n, 750_000_000],
  ['-3', -3n, 0],
  ['7.1234567899', 7n, 123_456_789],
  ['-0.5', -1n, 500_000_000],
])('the time %s counts nanoseconds up from its second', (text, seconds, nanoseconds) => {
  expect(parseTime(text)).toEqual({ seconds, nanoseconds });
});

test('numbers may be octal text or base 256, times below zero', () => {
  expect(
    octalAt(
      header((block) => block.write('0000644\0')),
      0,
      8,
    ),
  ).toBe(0o644);
  expect(
    octalAt(
      header((block) => block.writeUInt32BE(3_000_000, 4) && block.writeUInt8(0x80, 0)),
      0,
      8,
    ),
  ).toBe(3_000_000);
  const before = header((block) => {
    block.write('0000000\0'.repeat(4), 100);
    block.fill(0xff, 136, 147).writeUInt8(0xf6, 147);
  });
  expect(parseHeader(before).mtime).toEqual({ seconds: -10n, nanoseconds: 0 });
  expect(() =>
    octalAt(
      header((block) => block.write('12x')),
      0,
      8,
    ),
  ).toThrow('"12x" is no octal number');
});

const pathOf = (magic: string, star = '') =>
  parseHeader(
    header((block) => {
      block.write('name', 0);
      block.write(magic, 257, 'latin1');
      block.write('prefix', 345);
      block.write(star, 508, 'latin1');
      block.write(star && '00000000000', 476);
    }),
  ).path;

test('the prefix belongs to ustar; GNU keeps times there, and star half of it', () => {
  expect([pathOf('ustar\0'), pathOf('ustar  \0'), pathOf('ustar\0', 'tar\0')]).toEqual([
    'prefix/name',
    'name',
    'prefix/name',
  ]);
});

/** For texts whose record has two digits of length. */
const record = (text: string) => `${text.length + 4} ${text}\n`;

test('pax values may hold line ends, and keys of xattrs what would end them', () => {
  const parsed = parsePax(record('SCHILY.xattr.user.a%3Db=x\ny=') + record('path=a b'));
  if (!parsed.ok) throw new Error(parsed.fault);
  expect([...xattrsOf(parsed.records)]).toEqual([['user.a=b', 'x\ny=']]);
  expect(parsed.records.values.get('path')).toBe('a b');
});

test.each([
  'x',
  '5 a=b\n',
  '999 path=a\n',
  '0 \n',
  '8 path a\n',
])('"%s" is no list of pax records', (text) => {
  expect(parsePax(text).ok).toBe(false);
});
