import { expect, test } from 'vitest';
import { findCycle } from './dependency-order.ts';

const cycleOf = (edges: Record<string, string[]>) => findCycle(new Map(Object.entries(edges)));

test('names that depend on each other in a ring are found, the first again at the end', () => {
  expect(cycleOf({ a: ['b'], b: ['c'], c: ['a'] })).toEqual(['a', 'b', 'c', 'a']);
  expect(cycleOf({ a: ['a'] })).toEqual(['a', 'a']);
});

test('the way into a ring is no part of it', () => {
  expect(cycleOf({ a: ['b'], b: ['c'], c: ['b'] })).toEqual(['b', 'c', 'b']);
});

test('two ways to the same name are no ring, nor is a name that is not there', () => {
  expect(cycleOf({ a: ['b', 'c'], b: ['d'], c: ['d'], d: ['gone'] })).toBeUndefined();
});

test('a dense graph of 64 names is walked in no time', () => {
  const names = Array.from({ length: 64 }, (_, index) => `n${index}`);
  const edges = Object.fromEntries(names.map((name, index) => [name, names.slice(index + 1)]));
  expect(cycleOf(edges)).toBeUndefined();
});
