import { expect, test } from 'vitest';
import { RateLimit } from './rate-limit.ts';

test('an address is refused past its allowance and allowed again in the next window', () => {
  let now = 0;
  const limit = new RateLimit(2, 1_000, () => now);
  expect([limit.take('a'), limit.take('a'), limit.take('a'), limit.take('b')]).toEqual([
    true,
    true,
    false,
    true,
  ]);
  now = 1_000;
  expect(limit.take('a')).toBe(true);
});
