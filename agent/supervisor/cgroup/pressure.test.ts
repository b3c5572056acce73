import { expect, test } from 'vitest';
import { parsePressure } from './pressure.ts';

test('both means of ten seconds are read', () => {
  const text =
    'some avg10=12.34 avg60=1.00 avg300=0.10 total=5\nfull avg10=3.00 avg60=0.00 avg300=0.00 total=2\n';
  expect(parsePressure(text)).toEqual({ some: 12.34, full: 3 });
});

test('a kernel that does not tell of full CPU stalls has none', () => {
  expect(parsePressure('some avg10=0.50 avg60=0.00 avg300=0.00 total=9\n')).toEqual({ some: 0.5, full: 0 });
});

test('other text is no pressure', () => {
  expect(parsePressure('')).toBeUndefined();
  expect(parsePressure('usage_usec 12\n')).toBeUndefined();
});
