import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fairShares } from './fair-shares.ts';

const sum = (numbers: number[]): number => numbers.reduce((total, one) => total + one, 0);

test('small parts stay whole and the others share alike', () => {
  expect(fairShares([10, 1000, 5, 900], 515)).toEqual([10, 250, 5, 250]);
  expect(fairShares([10, 20], 100)).toEqual([10, 20]);
  expect(fairShares([], 100)).toEqual([]);
});

test('never more than there is, never more than a part has, and nothing is given away unused', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(5_000), { maxLength: 12 }), fc.nat(20_000), (sizes, total) => {
      const shares = fairShares(sizes, total);
      expect(shares.every((share, index) => share >= 0 && share <= (sizes[index] ?? 0))).toBe(true);
      expect(sum(shares)).toBeLessThanOrEqual(total);
      expect(sum(shares)).toBeGreaterThanOrEqual(Math.min(sum(sizes), total - sizes.length));
    }),
  );
});
