import { expect, test } from 'vitest';
import { nearest } from './nearest.ts';

test.each([
  ['stauts', 'status'],
  ['STATUS', 'status'],
  ['log', 'logs'],
  ['sp', 'ps'],
  ['readonlyroot', 'readOnlyRoot'],
  ['frobnicate', undefined],
  ['', undefined],
])('"%s" was meant to be %s', (word, meant) => {
  expect(nearest(word, ['status', 'ps', 'logs', 'version', 'readOnlyRoot'])).toBe(meant);
});

test('there is nothing near where there is nothing', () => {
  expect(nearest('ps', [])).toBeUndefined();
});
