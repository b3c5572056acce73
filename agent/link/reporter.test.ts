import { beforeEach, expect, test } from 'vitest';
import { LIMITS } from '../../protocol/limits.ts';
import type { Report } from '../../protocol/messages.ts';
import { FakeClock } from '../supervisor/fake-clock.ts';
import { Reporter } from './reporter.ts';

let device: Report['device'];
let clock: FakeClock;
let sent: Report[];
let errors: unknown[];
let failure: Error | undefined;
let reporter: Reporter;

beforeEach(() => {
  clock = new FakeClock(1_000_000);
  device = {} as Report['device'];
  sent = [];
  errors = [];
  failure = undefined;
  reporter = new Reporter({
    clock,
    snapshot: () => {
      if (failure) throw failure;
      return { generation: 1, update: { phase: 'idle', since: 0 }, services: [], device };
    },
    send: (report) => sent.push(report),
    onError: (error) => errors.push(error),
  });
});

test('reports each interval, numbered, with the time it was made', async () => {
  reporter.start();
  await clock.advance(LIMITS.reportMs - 1);
  expect(sent).toEqual([]);
  await clock.advance(2 * LIMITS.reportMs + 1);
  expect(sent.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
  expect(sent[0]).toMatchObject({ v: 1, at: 1_000_000 + LIMITS.reportMs });
});

test('many changes are one report, soon, and the interval counts from it', async () => {
  reporter.start();
  await clock.advance(5_000);
  for (let change = 0; change < 20; change++) {
    reporter.changed();
    await clock.advance(10);
  }
  await clock.advance(100);
  expect(sent).toHaveLength(1);
  await clock.advance(LIMITS.reportMs - 200);
  expect(sent).toHaveLength(1);
  await clock.advance(200);
  expect(sent).toHaveLength(2);
});

test('changes without end do not put the report off', async () => {
  reporter.start();
  for (let ms = 0; ms < 1_000; ms += 50) {
    reporter.changed();
    await clock.advance(50);
  }
  expect(sent.length).toBeGreaterThanOrEqual(3);
});

test('a new session begins at once, with number one', async () => {
  reporter.start();
  await clock.advance(3 * LIMITS.reportMs);
  sent.length = 0;
  reporter.connected();
  reporter.changed();
  await clock.advance(0);
  expect(sent.map(({ sequence }) => sequence)).toEqual([1]);
  await clock.advance(LIMITS.reportMs);
  expect(sent.map(({ sequence }) => sequence)).toEqual([1, 2]);
});

test('a change before the start does not swallow the changes after it', async () => {
  reporter.changed();
  reporter.start();
  reporter.changed();
  await clock.advance(300);
  expect(sent).toHaveLength(1);
});

test('a snapshot that fails is told, and the next is tried at its time', async () => {
  reporter.start();
  failure = new Error('no device numbers');
  await clock.advance(LIMITS.reportMs);
  expect(errors).toEqual([failure]);
  failure = undefined;
  await clock.advance(LIMITS.reportMs);
  expect(sent.map(({ sequence }) => sequence)).toEqual([1]);
});

test('what does not fit is left out, and told once', async () => {
  const fault = { code: 'agent.disk-full' as const, message: 'x'.repeat(1024), at: 0 };
  device = {
    faults: Array.from({ length: 16 }, () => ({ ...fault, causes: Array.from({ length: 8 }, () => fault) })),
  } as never;
  reporter.start();
  await clock.advance(3 * LIMITS.reportMs);
  expect(sent[2]?.device.faults?.[0]).toEqual(fault);
  expect(errors.map(String)).toEqual([expect.stringContaining('left out: causes of reasons')]);
});

test('nothing is sent after the stop', async () => {
  reporter.start();
  reporter.changed();
  reporter.stop();
  reporter.changed();
  await clock.advance(10 * LIMITS.reportMs);
  expect(sent).toEqual([]);
});
