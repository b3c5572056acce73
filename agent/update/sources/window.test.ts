import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LIMITS } from '../../../protocol/limits.ts';
import { Window } from './window.ts';

const { chunkBytes, minWindowBytes, maxWindowBytes } = LIMITS;

test('opens by one chunk for each window taken', () => {
  const window = new Window(chunkBytes);
  window.took(minWindowBytes - 1);
  expect(window.bytes).toBe(minWindowBytes);
  window.took(1);
  expect(window.bytes).toBe(minWindowBytes + chunkBytes);
});

test('a loss halves it and what was taken before counts no more', () => {
  const window = new Window(chunkBytes);
  for (let times = 0; times < 100; times++) window.took(maxWindowBytes);
  expect(window.bytes).toBe(maxWindowBytes);
  window.took(maxWindowBytes - 1);
  window.lost();
  expect(window.bytes).toBe(maxWindowBytes / 2);
  window.took(maxWindowBytes / 2 - 1);
  expect(window.bytes).toBe(maxWindowBytes / 2);
});

test('stays between its bounds whatever happens', () => {
  const step = fc.option(fc.integer({ min: 1, max: 2 * maxWindowBytes }), { nil: 'lost' as const });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const window = new Window(chunkBytes);
      for (const bytes of steps) {
        if (bytes === 'lost') window.lost();
        else window.took(bytes);
        expect(window.bytes).toBeGreaterThanOrEqual(minWindowBytes);
        expect(window.bytes).toBeLessThanOrEqual(maxWindowBytes);
      }
    }),
  );
});
