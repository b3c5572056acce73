import { expect, test } from 'vitest';
import { matchesPattern } from './tuf-paths.ts';

test.each([
  ['*', 'file', true],
  ['*', '.hidden', true],
  ['*', 'dir/file', false],
  ['*/*', 'dir/file', true],
  ['releases/*/*/manifest.json', 'releases/demo/1.0.0/manifest.json', true],
  ['*.tgz', 'a.tgz', true],
  ['*.tgz', 'a.tgz.sig', false],
  ['a*b*c', 'aXbYbZc', true],
  ['a*b*c', 'aXbYbZ', false],
  ['file-?', 'file-1', true],
  ['file-?', 'file-', false],
  ['file-[0-9a]', 'file-7', true],
  ['file-[!0-9]', 'file-7', false],
  ['file-[]]', 'file-]', true],
  ['file-[', 'file-[', true],
  ['{a,b}', 'a', false],
  ['**', 'a/b', false],
  ['!a', 'b', false],
  ['', '', true],
])('pattern %s and path %s: %s', (pattern, path, isMatch) => {
  expect(matchesPattern(path, pattern)).toBe(isMatch);
});

test('no pattern takes long', () => {
  const started = performance.now();
  expect(matchesPattern('a'.repeat(5_000), `${'*a'.repeat(500)}b`)).toBe(false);
  expect(performance.now() - started).toBeLessThan(2_000);
});
