import { expect, test } from 'vitest';
import { hang, layOutTable, printable, wrap } from './layout.ts';

test('columns are as wide as their widest cell and lines end without spaces', () => {
  const columns = [
    { title: 'A', align: 'left' as const },
    { title: 'N', align: 'right' as const },
    { title: 'Z', align: 'left' as const },
  ];
  expect(
    layOutTable(columns, [
      ['longer', '7', ''],
      ['°', '1000', 'z'],
    ]),
  ).toEqual(['A          N  Z', 'longer     7', '°       1000  z']);
});

test('wrap breaks at spaces, and a longer word where it must', () => {
  expect(wrap('one two three', 7)).toEqual(['one two', 'three']);
  expect(wrap('abcdefgh ij', 4)).toEqual(['abcd', 'efgh', 'ij']);
  expect(wrap('', 4)).toEqual(['']);
  expect(wrap('no limit at all', Number.POSITIVE_INFINITY)).toEqual(['no limit at all']);
});

test('hang indents below the text', () => {
  expect(hang('Link  ', 'offline for ever', 14)).toEqual(['Link  offline', '      for ever']);
});

test('printable keeps text and drops what drives a terminal', () => {
  expect(printable('\u001b[1;31mred\u001b[0m \u001b]0;title\u0007°C\r\n\u202e')).toBe('red ]0;title°C');
});
