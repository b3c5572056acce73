import { expect, test } from 'vitest';
import { EMPTY_TERMINAL, type TerminalText, writeTerminal } from './terminal-text.ts';

const after = (...parts: string[]) =>
  parts.reduce<TerminalText>((text, part) => writeTerminal(text, part), EMPTY_TERMINAL).text;

test.each([
  ['lines of a terminal', ['one\r\ntwo\r\n'], 'one\ntwo\n'],
  ['a progress bar that goes back', ['10 %\r90 %', '\r100 %'], '100 %'],
  ['a character taken back', ['lx\b \bs'], 'ls'],
  ['a tab', ['a\tb'], 'a       b'],
  ['colours and titles', ['\x1b[1;31mred\x1b[0m \x1b]0;title\x07end'], 'red end'],
  ['an escape in two parts', ['a\x1b[3', '1mb'], 'ab'],
  ['a bell and other control characters', ['a\x07\x00b'], 'ab'],
  ['an escape that never ends', [`\x1b]${'x'.repeat(100)}`], `]${'x'.repeat(100)}`],
])('%s', (_, parts, text) => {
  expect(after(...parts)).toBe(text);
});

test('what scrolled off is forgotten', () => {
  expect(after('x\n'.repeat(300_000)).length).toBe(200_000);
});
