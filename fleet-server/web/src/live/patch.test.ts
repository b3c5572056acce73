import { expect, it } from 'vitest';
import type { DeviceMetrics, Report } from '../api/types.ts';
import { appendReport, hasNews, METRICS_WINDOW_MS, upsert } from './patch.ts';

function report(at: number, memoryBytes?: number): Report {
  return {
    v: 1,
    at,
    sequence: at,
    generation: 1,
    update: { phase: 'committed', since: 1 },
    services: [
      {
        name: 'sensor',
        state: memoryBytes === undefined ? 'failed' : 'running',
        since: 1,
        reason: { code: 'start.desired', message: '', at: 1 },
        restarts: 0,
        oomKills: 0,
        budget: { memoryMaxBytes: 100, cpuMax: 1, pidsMax: 8 },
        ...(memoryBytes === undefined ? {} : { usage: { memoryBytes, cpu: 0.1, pids: 1, throttledMs: 0 } }),
      },
    ],
    device: {
      uptimeMs: at,
      load1: 0,
      memoryTotalBytes: 1,
      memoryAvailableBytes: 1,
      diskTotalBytes: 1,
      diskFreeBytes: 1,
      agentRssBytes: 1,
    },
  };
}

const none: DeviceMetrics = { items: [] };

it('replaces an item in its place and puts a new one first', () => {
  const items = [
    { id: 'a', n: 1 },
    { id: 'b', n: 1 },
  ];
  expect(upsert(items, { id: 'b', n: 2 })).toEqual([
    { id: 'a', n: 1 },
    { id: 'b', n: 2 },
  ]);
  expect(upsert(items, { id: 'c', n: 1 }).map(({ id }) => id)).toEqual(['c', 'a', 'b']);
});

it('adds a report to the series once', () => {
  const once = appendReport(appendReport(none, report(1_000, 10)), report(2_000, 20));
  expect(appendReport(once, report(2_000, 20))).toEqual(once);
  expect(once.items[0]).toMatchObject({ service: 'sensor', at: [1_000, 2_000], memoryBytes: [10, 20] });
});

it('drops what has left the window, from every series of the service', () => {
  const old = appendReport(none, report(1_000, 10));
  const later = appendReport(old, report(1_000 + METRICS_WINDOW_MS, 20));
  expect(later.items[0]).toMatchObject({ memoryBytes: [20], cpu: [0.1], pids: [1] });
});

it('adds nothing for a service that does not run', () => {
  expect(appendReport(none, report(1_000))).toEqual(none);
});

it('finds news in a service’s state and none in its use', () => {
  expect(hasNews(report(1, 10), report(2, 90))).toBe(false);
  expect(hasNews(report(1, 10), report(2))).toBe(true);
});
