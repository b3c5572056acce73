import { expect, test } from 'vitest';
import type { ChannelStatus } from '../../../protocol/channel-status.ts';
import { CHANNEL_LIMITS } from '../../../protocol/channels.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import { checkReport, type Report } from '../../../protocol/messages.ts';
import type { Reason } from '../../../protocol/reasons.ts';
import type { ServiceStatus } from '../../../protocol/status.ts';
import { fitReport, REPORT_MAX_BYTES } from './fit-report.ts';

const sizeOf = (report: Report) => Buffer.byteLength(JSON.stringify(report));
const MAX = Number.MAX_SAFE_INTEGER;
const pressure = { some: 99.99, full: 99.99 };

function reason(text: string): Reason {
  const cause = { code: 'device.reboot-refused' as const, message: text, at: MAX };
  return { ...cause, causes: [cause, cause, cause, cause] };
}

function service(index: number, text: string, degradations: number): ServiceStatus {
  return {
    name: `${index}`.padEnd(32, 'x'),
    state: 'crash_looping',
    since: MAX,
    reason: reason(text),
    restarts: MAX,
    oomKills: MAX,
    pid: MAX,
    criticality: 'critical',
    health: { state: 'unhealthy', since: MAX, detail: text },
    isThrottled: true,
    degraded: Array.from({ length: degradations }, () => ({
      what: 'memoryHighBytes'.padEnd(64, 'x'),
      why: text,
    })),
    budget: { memoryMaxBytes: MAX, cpuMax: 255.12345678, pidsMax: MAX },
    usage: {
      memoryBytes: MAX,
      cpu: 255.12345678,
      pids: MAX,
      throttledMs: MAX,
      memoryPeakBytes: MAX,
      memoryHighEvents: MAX,
      memoryPressure: pressure,
      ioPressure: pressure,
      cpuPressure: pressure,
      ioReadBytes: MAX,
      ioWrittenBytes: MAX,
      networkReceivedBytes: MAX,
      networkSentBytes: MAX,
      diskBytes: MAX,
      volumeBytes: MAX,
    },
    logs: { keptBytes: MAX, droppedBytes: MAX },
    addresses: Object.fromEntries(
      Array.from({ length: 8 }, (_, net) => [`net${net}`.padEnd(32, 'x'), '255.255.255.255']),
    ),
  };
}

function channel(index: number, text: string): ChannelStatus {
  const peer = { service: 'p'.repeat(32), isUp: true };
  const publisher = {
    starts: MAX,
    messages: MAX,
    bytes: MAX,
    dropped: MAX,
    blocked: MAX,
    wakes: MAX,
    epoch: MAX,
  };
  const counts = { evictions: MAX, lag: MAX, received: MAX, overruns: MAX, resets: MAX, torn: MAX };
  return {
    name: `${index}`.padEnd(32, 'x'),
    mode: 'reliable',
    slotSizeBytes: MAX,
    depth: MAX,
    budgetBytes: MAX,
    usedBytes: MAX,
    since: MAX,
    publishers: Array.from({ length: CHANNEL_LIMITS.peers }, () => ({ ...peer, ...publisher })),
    subscribers: Array.from({ length: CHANNEL_LIMITS.peers }, () => ({
      ...peer,
      isEvicted: true,
      ...counts,
    })),
    fault: text.slice(0, 500),
  };
}

function fullReport(text: string, degradations: number): Report {
  return {
    v: 1,
    at: MAX,
    sequence: MAX,
    generation: MAX,
    current: { name: 'd'.repeat(64), version: 'v'.repeat(64), manifest: 'a'.repeat(64), generation: MAX },
    update: { phase: 'rolled_back', since: MAX, reason: reason(text) },
    services: Array.from({ length: LIMITS.services }, (_, index) => service(index, text, degradations)),
    device: {
      uptimeMs: MAX,
      load1: 1.23,
      memoryTotalBytes: MAX,
      memoryAvailableBytes: MAX,
      diskTotalBytes: MAX,
      diskFreeBytes: MAX,
      agentRssBytes: MAX,
      shedding: { level: MAX, reason: reason(text) },
      faults: Array.from({ length: 16 }, () => reason(text)),
    },
    channels: Array.from({ length: CHANNEL_LIMITS.channels }, (_, index) => channel(index, text)),
  };
}

test('a usual report stays whole, also with 64 services', () => {
  const report = fullReport('x', 0);
  for (const each of report.services) {
    each.reason = { code: 'start.desired', message: 'The release wants it and it was not running', at: 1 };
    each.addresses = { front: '10.88.1.2' };
  }
  const [frames] = report.channels?.splice(0) ?? [];
  const { publishers = [], subscribers = [] } = frames ?? {};
  if (frames)
    report.channels = [{ ...frames, publishers: publishers.slice(1), subscribers: subscribers.slice(1) }];
  expect(fitReport(report, sizeOf)).toEqual({ report, trimmed: [] });
});

test.each([
  ['long words', 'word '.repeat(204), 3],
  ['characters of four bytes', '🚢'.repeat(1024), 32],
  ['characters that JSON writes as six', '\u0001'.repeat(1024), 32],
  ['texts longer than the schema takes', 'x'.repeat(20_000), 32],
])('the fullest report with %s fits and is valid', (_, text, degradations) => {
  const { report, trimmed } = fitReport(fullReport(text, degradations), sizeOf);
  expect(sizeOf(report)).toBeLessThanOrEqual(REPORT_MAX_BYTES);
  expect(checkReport(report)).toMatchObject({ ok: true });
  expect(trimmed[0]).toBe('causes of reasons');
  expect(report.services).toHaveLength(LIMITS.services);
});

test('no more is given up than is needed, and the reason itself stays', () => {
  const { channels: _none, ...whole } = fullReport('x'.repeat(300), 0);
  const { report, trimmed } = fitReport(whole, sizeOf);
  expect(trimmed).toEqual(['causes of reasons', 'details of health checks and degradations']);
  expect(report.services[0]?.reason.message).toBe('x'.repeat(300));
});
