import { describe, expect, test } from 'vitest';
import { NOW, worldOf } from '../../../test/support/plan-world.ts';
import { serviceSpec } from '../../../test/support/service-specs.ts';
import type { ObservedContainer } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { noteRebootRefused } from './exhaustion.ts';
import type { Health } from './health.ts';
import { type Plan, plan } from './plan.ts';
import { newRecord, noteBlocked, noteStarted, type ServiceRecord } from './record.ts';
import { noShedding } from './shedding.ts';
import { workloadHealth } from './status.ts';

const running = ({ name, digest }: ServiceSpec): ObservedContainer => ({
  service: name,
  specDigest: digest,
  state: 'running',
  pid: 7,
  startedAt: 40_000,
});
const record = (spec: ServiceSpec, parts: Partial<ServiceRecord> = {}): ServiceRecord => ({
  ...newRecord(spec, 0),
  state: 'running',
  starts: 1,
  holds: true,
  ...parts,
});
const records = (...all: [ServiceSpec, Partial<ServiceRecord>?][]): ReadonlyMap<string, ServiceRecord> =>
  new Map(all.map(([spec, parts]) => [spec.name, record(spec, parts)]));
const codes = (result: Plan, name: string): (string | undefined)[] => {
  const newest = result.records.get(name)?.reasons[0];
  return [newest?.code, ...(newest?.causes ?? []).map(({ code }) => code)];
};

describe('a service that depends on another', () => {
  const bus = serviceSpec('bus');
  const app = serviceSpec('app', { dependsOn: { bus: 'started' } });

  test('waits for it, and says why that one is not there', () => {
    const backoff = { code: 'wait.backoff', message: 'Later', at: 1 } as const;
    const known = records([bus, { holds: false, retryAt: NOW + 500, reasons: [backoff] }]);
    const result = plan(worldOf({ desired: [app, bus], records: known }));
    expect(result.steps).toEqual([]);
    expect(result.records.get('app')?.state).toBe('waiting');
    expect(codes(result, 'app')).toEqual(['wait.dependency', 'wait.backoff']);
  });

  test('ends before it when both leave', () => {
    const known = records([bus], [app]);
    const observed = [running(bus), running(app)];
    const first = plan(worldOf({ isShuttingDown: true, desired: [app, bus], observed, records: known }));
    expect(first.steps).toMatchObject([{ kind: 'stop', service: 'app' }]);
    expect(first.waiting).toMatchObject([{ service: 'bus', reason: { code: 'stop.shutdown' } }]);
  });
});

describe('a service whose health check fails', () => {
  const check = { check: { kind: 'tcp', port: 80 }, intervalMs: 1000, timeoutMs: 100 } as const;
  const policy = { ...check, retries: 1, startPeriodMs: 0 };
  const web = serviceSpec('web', { health: { ...policy, whenUnhealthy: 'restart' } });
  const state: Health = {
    pid: 7,
    startedAt: 40_000,
    state: 'unhealthy',
    since: 1,
    failures: 1,
    detail: 'no',
  };
  const health = new Map([['web', state]]);

  test('is stopped for that, backs off, and starts anew, each because of the one before', () => {
    const stop = plan(worldOf({ desired: [web], observed: [running(web)], records: records([web]), health }));
    expect(stop.steps).toMatchObject([{ kind: 'stop' }]);
    expect(codes(stop, 'web')).toEqual(['stop.unhealthy', 'health.unhealthy']);
    const exited = { ...running(web), state: 'exited', exitCode: 0, signal: undefined, exitedAt: NOW };
    const observed = [exited as ObservedContainer];
    const exit = plan(worldOf({ desired: [web], observed, records: stop.records }));
    expect(exit.records.get('web')).toMatchObject({ failures: 1, retryAt: NOW + 100 });
    const gone = new Map([...exit.records].map(([name, known]) => [name, { ...known, holds: false }]));
    const start = plan(worldOf({ desired: [web], records: gone, now: NOW + 100 }));
    expect(start.steps).toMatchObject([{ kind: 'start', reason: { code: 'start.unhealthy' } }]);
    expect(codes(start, 'web')).toEqual([
      'start.unhealthy',
      'wait.backoff',
      'exit.code',
      'stop.unhealthy',
      'health.unhealthy',
    ]);
  });

  test('runs on where that is only to be reported, and keeps the release from being well', () => {
    const quiet = serviceSpec('web', { health: { ...policy, whenUnhealthy: 'report' } });
    const observed = [running(quiet)];
    const result = plan(worldOf({ desired: [quiet], observed, records: records([quiet]), health }));
    expect(result.steps).toEqual([]);
    expect(workloadHealth([quiet], observed, result.records, health, new Map())).toMatchObject({
      isConverged: false,
      isFailed: false,
    });
  });
});

test('a kill after the grace is told, with the stop that it followed', () => {
  const app = serviceSpec('app');
  const reasons = [{ code: 'stop.not-desired', message: 'Gone', at: 1 } as const];
  const known = records([app, { stopping: { at: NOW - 2000 }, reasons }]);
  const result = plan(worldOf({ observed: [running(app)], records: known }));
  expect(result.steps).toMatchObject([{ kind: 'kill' }]);
  expect(codes(result, 'app')).toEqual(['stop.killed', 'stop.not-desired']);
});

test('a container whose monitor was lost is no refusal of the runtime', () => {
  const app = serviceSpec('app');
  const observed: ObservedContainer[] = [
    { service: 'app', specDigest: app.digest, state: 'broken', detail: 'Its monitor is gone' },
  ];
  const result = plan(worldOf({ desired: [app], observed, records: records([app]) }));
  expect(codes(result, 'app')).toEqual(['wait.backoff', 'exit.lost']);
});

test('a start that lacks a secret is no failure, is told once, and is tried again less and less often', () => {
  const app = serviceSpec('app');
  const secret = { code: 'wait.secret', message: 'There is no secret "key"', at: NOW } as const;
  const once = noteBlocked(record(app), secret);
  const twice = noteBlocked(once, { ...secret, at: NOW + 5000 });
  expect(twice).toMatchObject({ state: 'waiting', failures: 0, starts: 0, reasons: [secret] });
  const known = new Map([['app', { ...twice, holds: false }]]);
  const early = plan(worldOf({ desired: [app], records: known, now: NOW + 14_999 }));
  expect(early.waiting).toMatchObject([{ reason: secret, until: NOW + 15_000 }]);
  const due = plan(worldOf({ desired: [app], records: known, now: NOW + 15_000 }));
  expect(due.news).toEqual([]);
  expect(due.steps).toMatchObject([{ kind: 'start' }]);
  const reason = { code: 'start.desired', message: 'There', at: 1 } as const;
  expect(noteStarted(due.records.get('app') as ServiceRecord, reason)).toMatchObject({
    starts: 1,
    blocked: undefined,
  });
});

const restart = (whenExhausted: 'stay-failed' | 'reboot'): ServiceSpec['restart'] => ({
  policy: 'always',
  backoffInitialMs: 100,
  backoffMaxMs: 1000,
  maxAttempts: 3,
  resetAfterMs: 10_000,
  whenExhausted,
});
const exhausted = { holds: false, settled: 'given-up', failures: 3 } as const;
const look = (spec: ServiceSpec) =>
  workloadHealth([spec], [], records([spec, exhausted]), new Map(), new Map());

describe('a service that has used up its attempts', () => {
  test('fails the release, unless the release says that it goes on without it', () => {
    const quiet = serviceSpec('app', { restart: restart('stay-failed') });
    const plain = serviceSpec('app');
    expect(look(plain)).toMatchObject({ isConverged: false, isFailed: true });
    expect(look(quiet)).toMatchObject({ isConverged: true, isFailed: false });
  });

  const app = serviceSpec('app', { restart: restart('reboot') });
  const later = 10_000_000;

  test('asks for a reboot once, and has its attempts anew after it', () => {
    const first = plan(worldOf({ desired: [app], records: records([app, exhausted]), now: later }));
    expect(first.steps).toMatchObject([{ kind: 'reboot', reason: { code: 'device.rebooting' } }]);
    const again = plan(worldOf({ desired: [app], records: first.records, now: later + 1 }));
    expect(again.steps).toEqual([]);
    const up = { desired: [app], records: first.records, isFirstPass: true, now: later + 60_000 };
    expect(plan(worldOf(up)).steps).toMatchObject([{ kind: 'start' }]);
  });

  test('waits out the hour since the last reboot, and fails the release meanwhile', () => {
    const known = records([app, { ...exhausted, reboot: { at: later, state: 'tried' } }]);
    const result = plan(worldOf({ desired: [app], records: known, now: later + 1000 }));
    expect(result.waiting).toMatchObject([{ reason: { code: 'wait.reboot' }, until: later + 3_600_000 }]);
    expect(workloadHealth([app], [], result.records, new Map(), new Map()).isFailed).toBe(true);
    const due = plan(worldOf({ desired: [app], records: result.records, now: later + 3_600_000 }));
    expect(due.steps).toMatchObject([{ kind: 'reboot' }]);
  });

  test('stays failed when the device does not reboot', () => {
    const refused = noteRebootRefused(record(app, exhausted), 'Not allowed', later);
    const result = plan(
      worldOf({ desired: [app], records: new Map([['app', refused]]), now: later + 7_200_000 }),
    );
    expect(result.steps).toEqual([]);
    expect(result.waiting).toMatchObject([{ reason: { code: 'device.reboot-refused' } }]);
  });
});

test('a service that is shed waits for the device and comes back restored', () => {
  const app = serviceSpec('app', { criticality: 'low' });
  const reason = { code: 'device.shed', message: 'Hot', at: 1 } as const;
  const shedding = { ...noShedding(0), level: 2, reason };
  const stop = plan(worldOf({ desired: [app], observed: [running(app)], records: records([app]), shedding }));
  expect(codes(stop, 'app')).toEqual(['stop.shed', 'device.shed']);
  const gone = new Map([['app', { ...(stop.records.get('app') as ServiceRecord), holds: false }]]);
  const wait = plan(worldOf({ desired: [app], records: gone, shedding }));
  expect(wait.records.get('app')?.state).toBe('shed');
  const half = { ...shedding, level: 1 };
  const start = plan(worldOf({ desired: [app], records: wait.records, shedding: half }));
  expect(start.steps).toMatchObject([
    { kind: 'start', reason: { code: 'start.restored' }, spec: { resources: { cpuMax: 0.25 } } },
  ]);
  const whole = plan(worldOf({ desired: [app], observed: [running(app)], records: start.records }));
  expect(whole.steps).toMatchObject([{ kind: 'set-budget', reason: { code: 'shed.restored' } }]);
});
