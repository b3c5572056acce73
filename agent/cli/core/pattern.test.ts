import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compilePattern } from './pattern.ts';

const matches = (pattern: string, text: string): boolean => {
  const compiled = compilePattern(pattern);
  if (typeof compiled === 'string') throw new Error(compiled);
  return compiled.matches(text);
};

test.each([
  ['err', 'an error', true],
  ['ERR', 'an error', false],
  ['^an', 'an error', true],
  ['^error', 'an error', false],
  ['error$', 'an error', true],
  ['an$', 'an error', false],
  ['^$', '', true],
  ['time(d )?out', 'it timed out', true],
  ['time(d )?out', 'a timeout', true],
  ['a|b|c', 'xxc', true],
  ['[0-9]+ ms', 'took 42 ms', true],
  ['[^a-z]', 'abc', false],
  ['[]]', 'a]', true],
  ['[a-]', '-', true],
  ['\\d\\d:\\d\\d', 'at 10:42', true],
  ['\\D', '42', false],
  ['\\.', 'abc', false],
  ['a.c', 'aüc', true],
  ['gr(e|a)y*', 'gra', true],
  ['()', 'x', true],
])('%s in "%s" is %o', (pattern, text, is) => {
  expect(matches(pattern, text)).toBe(is);
});

test.each([
  ['', 'it is empty'],
  ['a{3}', 'counts like {3} are not known; write the part again, or \\{'],
  ['(a', 'a "(" has no ")"; write \\('],
  ['a)', 'a ")" has no "("; write \\)'],
  ['[a', 'a "[" has no "]"; write \\['],
  ['*a', '"*" has nothing to repeat; write \\*'],
  ['(?=a)', '"(?" is not known: there is no looking around'],
  ['a\\', 'it ends with a "\\"; write \\\\'],
  ['\\1', '"\\1" is not known'],
  ['[z-a]', 'the range z-a is the wrong way round'],
  ['x'.repeat(201), 'it has more than 200 characters'],
])('%s is refused', (pattern, fault) => {
  expect(compilePattern(pattern)).toBe(fault);
});

test('says the same as the language’s own expressions', () => {
  const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\d', '(a|b)', '(ab)', '^', '$', '\\.');
  const piece = fc.tuple(atom, fc.constantFrom('', '', '*', '+', '?')).map(([of, sign]) =>
    // JavaScript does not repeat what stands for no character.
    of === '^' || of === '$' ? of : of + sign,
  );
  const pattern = fc.array(piece, { minLength: 1, maxLength: 6 }).map((pieces) => pieces.join(''));
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1', '.') });
  fc.assert(
    fc.property(pattern, pattern, text, (one, other, line) => {
      for (const each of [one, `${one}|${other}`, `(${one})*${other}`])
        expect([each, matches(each, line)]).toEqual([each, new RegExp(each, 'us').test(line)]);
    }),
  );
});

test('what makes other matchers hang is over at once', () => {
  const line = `${'a'.repeat(20_000)}!`;
  expect(matches('^(a+)+$', line)).toBe(false);
  expect(matches('(a*)*b', line)).toBe(false);
  expect(matches(`${'a?'.repeat(60)}${'a'.repeat(60)}b`, line)).toBe(false);
});
