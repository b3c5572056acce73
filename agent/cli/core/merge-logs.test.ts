import { expect, test } from 'vitest';
import { mergeByTime } from './merge-logs.ts';

const log = (service: string, ...times: number[]) =>
  times.map((at) => ({ service, at, stream: 'stdout' as const, text: '' }));
const order = (...logs: ReturnType<typeof log>[]) =>
  mergeByTime(logs).map(({ service, at }) => `${service}${at}`);

test('lines of several services stand by their time', () => {
  expect(order(log('a', 1, 4, 5), log('b', 2, 3, 9), log('c'))).toEqual(['a1', 'b2', 'b3', 'a4', 'a5', 'b9']);
});

test('a service whose clock went back keeps its own order', () => {
  expect(order(log('a', 5, 2), log('b', 3, 6))).toEqual(['b3', 'a5', 'a2', 'b6']);
});
