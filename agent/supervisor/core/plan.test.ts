import { describe, expect, test } from 'vitest';
import { NOW, worldOf } from '../../../test/support/plan-world.ts';
import { serviceSpec } from '../../../test/support/service-specs.ts';
import type { ObservedContainer } from '../ports.ts';
import { plan, type World } from './plan.ts';
import { newRecord, type ServiceRecord } from './record.ts';

const sensor = serviceSpec('sensor');
const world = (parts: Partial<World>): World => worldOf({ desired: [sensor], ...parts });
const record = (parts: Partial<ServiceRecord> = {}): ReadonlyMap<string, ServiceRecord> =>
  new Map([['sensor', { ...newRecord(sensor, 0), state: 'running', starts: 1, holds: true, ...parts }]]);
const running: ObservedContainer = {
  service: 'sensor',
  specDigest: sensor.digest,
  state: 'running',
  pid: 7,
  startedAt: 40_000,
};
const exited = (parts: object = {}): ObservedContainer => ({
  service: 'sensor',
  specDigest: sensor.digest,
  state: 'exited',
  exitCode: 1,
  signal: undefined,
  startedAt: 40_000,
  exitedAt: 49_990,
  ...parts,
});

describe('a start', () => {
  test('is planned for a desired service that does not run, with its reason', () => {
    expect(plan(world({})).steps).toMatchObject([
      { kind: 'start', service: 'sensor', reason: { code: 'start.desired' } },
    ]);
  });

  test('waits until the rest of an earlier container is removed', () => {
    expect(plan(world({ records: record() })).steps).toEqual([{ kind: 'remove', service: 'sensor' }]);
  });

  test('waits no longer than the policy can ask for when the clock was set back', () => {
    const records = record({ holds: false, failures: 1, retryAt: NOW + 3_600_000 });
    expect(plan(world({ records })).steps).toMatchObject([
      { kind: 'start', reason: { code: 'start.retry' } },
    ]);
  });

  test('of a service that gave up happens when an operator asks', () => {
    const records = record({ holds: false, settled: 'given-up', failures: 5, restartWanted: 'root' });
    const { steps, records: after } = plan(world({ records }));
    expect(steps).toMatchObject([
      { kind: 'start', reason: { code: 'start.operator', message: 'root restarted it' } },
    ]);
    expect(after.get('sensor')).toMatchObject({ failures: 0, settled: undefined });
  });
});

test('a restart by hand says who and why, when it stops and when it starts', () => {
  const wanted = { restartWanted: 'ada', restartWhy: 'no readings' };
  const [stop] = plan(world({ observed: [running], records: record(wanted) })).steps;
  expect(stop).toMatchObject({ reason: { code: 'stop.operator', message: 'ada restarted it: no readings' } });
  const { steps, records } = plan(world({ records: record({ ...wanted, holds: false }) }));
  expect(steps).toMatchObject([
    { reason: { code: 'start.operator', message: 'ada restarted it: no readings' } },
  ]);
  expect(records.get('sensor')).toMatchObject({ restartWanted: undefined, restartWhy: undefined });
});

describe('an exit', () => {
  test('that was asked for is kept in the chain of reasons and is no news', () => {
    const records = record({ stopping: { at: NOW } });
    const { news, records: after } = plan(world({ observed: [exited()], records }));
    expect(news.map(({ reason }) => reason.code)).not.toContain('exit.code');
    expect(after.get('sensor')?.reasons.map(({ code }) => code)).toContain('exit.code');
  });

  test('never came before the start, whatever the times of files say', () => {
    const early = { ...exited(), startedAt: NOW, exitedAt: NOW - 3 } as ObservedContainer;
    const [reason] = plan(world({ observed: [early], records: record() })).news;
    expect(reason?.reason.message).toMatch(/after 0\.0 s$/);
  });

  test('is counted, explained and followed by a back-off', () => {
    const result = plan(world({ observed: [exited()], records: record() }));
    expect(result.steps).toEqual([{ kind: 'remove', service: 'sensor' }]);
    expect(result.news.map(({ reason }) => reason.code)).toEqual(['exit.code', 'wait.backoff']);
    expect(result.records.get('sensor')).toMatchObject({
      state: 'backing_off',
      failures: 1,
      retryAt: 50_090,
    });
  });

  test('is counted once, however often it is seen', () => {
    const first = plan(world({ observed: [exited()], records: record() }));
    const second = plan(world({ observed: [exited()], records: first.records }));
    expect(second.records.get('sensor')?.failures).toBe(1);
    expect(second.news).toEqual([]);
  });

  test('after a kill for want of memory says so', () => {
    const oomKills = new Map([['sensor', 1]]);
    const result = plan(
      world({ observed: [exited({ exitCode: 137, signal: 9 })], records: record(), oomKills }),
    );
    expect(result.news[0]?.reason.code).toBe('exit.oom');
    expect(result.records.get('sensor')?.oomKills).toBe(1);
  });

  test('third in a row is a crash loop', () => {
    const result = plan(world({ observed: [exited()], records: record({ failures: 2 }) }));
    expect(result.records.get('sensor')?.state).toBe('crash_looping');
  });

  test('after a stable run is a first failure again', () => {
    const result = plan(world({ observed: [exited({ startedAt: 0 })], records: record({ failures: 7 }) }));
    expect(result.records.get('sensor')?.failures).toBe(1);
  });
});

describe('a running container', () => {
  test('that an earlier agent started is adopted with a reason', () => {
    const result = plan(world({ observed: [running], records: record(), isFirstPass: true }));
    expect(result.steps).toEqual([]);
    expect(result.records.get('sensor')?.reasons[0]?.code).toBe('start.adopted');
  });

  test('that nobody wants is asked to end, then killed when its grace is over', () => {
    const first = plan(world({ desired: [], observed: [running], records: record() }));
    expect(first.steps).toMatchObject([
      { kind: 'stop', signal: 'SIGTERM', reason: { code: 'stop.not-desired' } },
    ]);
    expect(first.wakeAt).toBe(NOW + 2000);
    const during = plan(world({ desired: [], observed: [running], records: first.records, now: NOW + 1999 }));
    expect(during.waiting).toMatchObject([{ until: NOW + 2000 }]);
    const after = plan(world({ desired: [], observed: [running], records: first.records, now: NOW + 2000 }));
    expect(after.steps).toMatchObject([{ kind: 'kill' }]);
  });

  test('that an agent was stopping when it died is asked again, with the whole grace', () => {
    const records = record({ stopping: { at: NOW - 60_000 } });
    const first = plan(world({ observed: [running], records, isFirstPass: true }));
    expect(first.steps).toMatchObject([{ kind: 'stop', service: 'sensor', signal: 'SIGTERM' }]);
    expect(first.records.get('sensor')).toMatchObject({ stopping: { at: NOW } });
    const next = plan(world({ observed: [running], records: first.records, now: NOW + 100 }));
    expect(next.steps).toEqual([]);
  });

  test('whose budget drifted in the kernel has it set again', () => {
    const budgets = new Map([['sensor', { ...sensor.resources, memoryMaxBytes: 1 << 30 }]]);
    const result = plan(world({ observed: [running], records: record(), budgets }));
    expect(result.steps).toMatchObject([{ kind: 'set-budget', reason: { code: 'repair.budget' } }]);
  });

  test('within the rounding of the kernel keeps its budget', () => {
    const budgets = new Map([
      ['sensor', { ...sensor.resources, memoryMaxBytes: sensor.resources.memoryMaxBytes - 4095 }],
    ]);
    expect(plan(world({ observed: [running], records: record(), budgets })).steps).toEqual([]);
  });
});
