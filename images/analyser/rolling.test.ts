import { expect, test } from 'vitest';
import { summarise } from './rolling.js';

test('a value far from a steady window is an anomaly', () => {
  const steady = Array.from({ length: 30 }, (_, at) => 10 + (at % 2));
  expect(summarise(steady)).toMatchObject({ count: 30, mean: 10.5, max: 11, isAnomaly: false });
  expect(summarise([...steady, 90])).toMatchObject({ max: 90, latest: 90, isAnomaly: true });
});

test('an empty and a flat window have no anomaly', () => {
  expect(summarise([])).toMatchObject({ count: 0, isAnomaly: false });
  expect(summarise([5, 5, 5])).toMatchObject({ mean: 5, zScore: 0, isAnomaly: false });
});
