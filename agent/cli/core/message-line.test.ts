import { expect, test } from 'vitest';
import { formOf, show } from './message-line.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test('text is shown as text, anything that a terminal would act on as hex', () => {
  expect(formOf(bytes('{"a":1}\n'))).toBe('text');
  expect(formOf(bytes('Grüße'))).toBe('text');
  expect(formOf(bytes('\u001b[2J'))).toBe('hex');
  expect(formOf(Uint8Array.of(0xff, 0xfe))).toBe('hex');
  expect(formOf(Uint8Array.of(0))).toBe('hex');
});

test('a message that is cut in the middle of a character is still text', () => {
  const cut = bytes('Grüße').subarray(0, 3);
  expect(formOf(cut)).toBe('text');
  expect(show(cut, 'text')).toBe('Gr');
});

test('a line stays a line', () => {
  expect(show(bytes('one\ntwo\n'), 'text')).toBe('one two');
  expect(show(Uint8Array.of(1, 0xab), 'hex')).toBe('01 ab');
});
