import { expect, test } from 'vitest';
import { LEFT_LOG_LIMITS, logsToRemove } from './left-logs.ts';

const { keptMs, totalBytes } = LEFT_LOG_LIMITS;
const NOW = 10 * keptMs;
const log = (service: string, ageMs: number, bytes = 1) => ({ service, bytes, writtenAt: NOW - ageMs });

test('a log goes an hour after its last line, and at once when the clock says nothing of its age', () => {
  expect(
    logsToRemove([log('young', keptMs - 1), log('old', keptMs), log('of tomorrow', -1)], NOW).toSorted(),
  ).toEqual(['of tomorrow', 'old']);
});

test('all together are bounded, and the newest are those that stay', () => {
  const half = totalBytes / 2;
  expect(logsToRemove([log('third', 3, half), log('first', 1, half), log('second', 2, half)], NOW)).toEqual([
    'third',
  ]);
});
