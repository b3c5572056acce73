import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffMs } from './backoff.ts';

const bounds = fc
  .tuple(fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 0, max: 1_000_000 }))
  .map(([minMs, more]) => ({ minMs, maxMs: minMs + more }));
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const attempt = fc.nat({ max: 5_000 });

test('the wait is never under the least nor over the most, at any attempt', () => {
  fc.assert(
    fc.property(attempt, bounds, random, (n, range, at) => {
      const ms = backoffMs(n, range, at);
      expect(ms).toBeGreaterThanOrEqual(range.minMs);
      expect(ms).toBeLessThanOrEqual(range.maxMs);
    }),
  );
});

test('the ceiling doubles until it is the most; the whole span below it is used', () => {
  fc.assert(
    fc.property(fc.nat({ max: 30 }), bounds, (n, range) => {
      const ceilingMs = Math.min(range.maxMs, range.minMs * 2 ** n);
      expect(backoffMs(n, range, 0)).toBe(range.minMs);
      expect(Math.abs(backoffMs(n, range, 1 - Number.EPSILON) - ceilingMs)).toBeLessThanOrEqual(1);
    }),
  );
});
