import { expect, test } from 'vitest';
import { sinceTime } from './since.ts';

const NOW = Date.UTC(2026, 10, 21, 10);

test.each([
  ['10m', '2026-11-21T09:50:00.000Z'],
  ['1.5h', '2026-11-21T08:30:00.000Z'],
  ['2026-11-21', '2026-11-21T00:00:00.000Z'],
  ['2026-11-21T09:50', '2026-11-21T09:50:00.000Z'],
  ['2026-11-21 09:50:30.5', '2026-11-21T09:50:30.500Z'],
  ['2026-11-21T09:50Z', '2026-11-21T09:50:00.000Z'],
  ['2026-11-21T09:50+02:00', '2026-11-21T07:50:00.000Z'],
])('%s', (text, time) => {
  expect(new Date(sinceTime(text, NOW) ?? 0).toISOString()).toBe(time);
});

test.each(['yesterday', '10', '', '2026-13-01', '2026-11-21T25:00', '-5m'])('%s is no time', (text) => {
  expect(sinceTime(text, NOW)).toBeUndefined();
});
