import { expect, test } from 'vitest';
import { formatDuration } from './duration.ts';

test.each([
  [-5, '0s'],
  [999, '0s'],
  [1_000, '1s'],
  [59_999, '59s'],
  [60_000, '1m'],
  [61_000, '1m 1s'],
  [3_599_999, '59m 59s'],
  [3_600_000, '1h'],
  [3_601_000, '1h'],
  [86_399_999, '23h 59m'],
  [356_400_000, '4d 3h'],
])('%i ms is %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
