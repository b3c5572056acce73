import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NOW, worldOf } from '../../../test/support/plan-world.ts';
import { serviceSpec } from '../../../test/support/service-specs.ts';
import type { ObservedContainer } from '../ports.ts';
import { plan, type World } from './plan.ts';
import { newRecord, type ServiceRecord } from './record.ts';
import {
  HOLD_MAX_MS,
  type HoldInForce,
  heldBack,
  parseHold,
  remainingMs,
  type ServiceHold,
} from './service-hold.ts';
import { workloadHealth } from './status.ts';

const camera = serviceSpec('camera');
const web = serviceSpec('web', { dependsOn: { camera: 'started' } });
const hold: HoldInForce = {
  v: 1,
  by: 'ada',
  why: 'cleaning the lens',
  at: NOW,
  until: NOW + 60_000,
  endsAt: NOW + 60_000,
  boot: { id: 'boot', upMs: 1_000 },
};
const holds = new Map([['camera', hold]]);
const TEXT = 'ada stopped it by hand until 1970-01-01T00:01:50Z: cleaning the lens';
const running = (name: string, digest: string): ObservedContainer => ({
  service: name,
  specDigest: digest,
  state: 'running',
  pid: 7,
  startedAt: 40_000,
});
const record = (parts: Partial<ServiceRecord> = {}): ServiceRecord => ({
  ...newRecord(camera, 0),
  state: 'running',
  starts: 1,
  ...parts,
});
const world = (parts: Partial<World>): World => worldOf({ desired: [camera], holds, ...parts });
const planned = (parts: Partial<World>, known: ServiceRecord) =>
  plan(world({ records: new Map([['camera', known]]), ...parts }));

describe('a service that is stopped by hand', () => {
  test('is asked to end, with who and why', () => {
    const { steps } = planned({ observed: [running('camera', camera.digest)] }, record());
    expect(steps).toMatchObject([{ kind: 'stop', reason: { code: 'stop.by-hand', message: TEXT } }]);
  });

  test.each<[string, Partial<ServiceRecord>]>([
    ['crash looping', { state: 'crash_looping', failures: 5, retryAt: NOW + 1_000 }],
    ['given up', { state: 'failed', settled: 'given-up' }],
    ['completed', { state: 'completed', settled: 'completed' }],
    ['shed', { state: 'shed', shed: 'stopped' }],
    ['never started', { state: 'stopped', starts: 0 }],
  ])('stays so whatever it was: %s', (_what, parts) => {
    const { steps, records, waiting, wakeAt } = planned({}, record(parts));
    expect(steps).toEqual([]);
    expect(records.get('camera')).toMatchObject({
      state: 'stopped',
      reasons: [{ code: 'wait.by-hand', message: TEXT }],
    });
    expect(waiting).toMatchObject([{ service: 'camera', until: hold.endsAt }]);
    expect(wakeAt).toBe(hold.endsAt);
  });

  test('is shown as stopped by hand as soon as it has ended', () => {
    const exited = { ...running('camera', camera.digest), state: 'exited', exitCode: 0, exitedAt: NOW };
    const { steps, records } = planned(
      { observed: [exited as ObservedContainer] },
      record({ stopping: { at: NOW } }),
    );
    expect(steps).toEqual([{ kind: 'remove', service: 'camera' }]);
    expect(records.get('camera')).toMatchObject({
      state: 'stopped',
      failures: 0,
      reasons: [{ code: 'wait.by-hand' }, { code: 'exit.code' }],
    });
  });

  test('is told once, and anew when the time begins anew', () => {
    const first = planned({}, record()).records.get('camera') as ServiceRecord;
    expect(planned({}, first).news).toEqual([]);
    const renewed = new Map([['camera', { ...hold, until: hold.until + 1_000 }]]);
    expect(planned({ holds: renewed }, first).news).toHaveLength(1);
  });

  test('stays stopped under a new specification', () => {
    const next = serviceSpec('camera', { args: ['v2'] });
    const result = planned({ desired: [next] }, record());
    expect(result.steps).toEqual([]);
    expect(result.records.get('camera')).toMatchObject({ state: 'stopped', specDigest: next.digest });
  });

  test('starts again when the time is over, and the chain says so', () => {
    const held = planned({}, record()).records.get('camera') as ServiceRecord;
    const { steps, records } = planned({ holds: new Map() }, held);
    expect(steps).toMatchObject([{ kind: 'start', reason: { code: 'start.desired' } }]);
    expect(
      records
        .get('camera')
        ?.reasons.map(({ code }) => code)
        .slice(0, 3),
    ).toEqual(['start.desired', 'hold.ended', 'wait.by-hand']);
  });

  test('is what it was when the time is over: done for good, it is not started', () => {
    const held = planned({}, record({ settled: 'completed' })).records.get('camera') as ServiceRecord;
    const { steps, records } = planned({ holds: new Map() }, held);
    expect(steps).toEqual([]);
    expect(records.get('camera')?.state).toBe('completed');
  });

  test('starts at once when somebody starts it, whatever it was', () => {
    const held = planned({}, record({ settled: 'given-up', failures: 5 })).records.get('camera');
    const wanted = { ...(held as ServiceRecord), startWanted: { by: 'bob', why: 'clean' } };
    const { steps, records } = planned({ holds: new Map() }, wanted);
    expect(steps).toMatchObject([
      { kind: 'start', reason: { code: 'start.by-hand', message: 'bob started it: clean' } },
    ]);
    expect(records.get('camera')).toMatchObject({ startWanted: undefined, settled: undefined, failures: 0 });
  });

  test('takes an old version along that runs on for a new one', () => {
    const { steps } = plan(
      world({
        observed: [running('camera', camera.digest)],
        desired: [{ ...camera, name: 'camera.2', digest: 'd2' }],
        records: new Map([['camera', record()]]),
        slots: {
          outgoing: new Map([['camera', { by: 'camera.2', mayGo: false, until: undefined }]]),
          behind: new Map(),
        },
      }),
    );
    expect(steps).toMatchObject([{ kind: 'stop', service: 'camera', reason: { code: 'stop.by-hand' } }]);
  });

  test('leaves what depends on it running, and lets nothing start that does', () => {
    const known = { ...newRecord(web, 0), state: 'running' as const, starts: 1 };
    const both = [camera, web];
    const records = new Map([['web', known]]);
    const on = plan(world({ desired: both, records, observed: [running('web', web.digest)] }));
    expect(on.steps).toEqual([]);
    const off = plan(world({ desired: both, records }));
    expect(off.steps).toEqual([]);
    expect(off.records.get('web')).toMatchObject({
      state: 'waiting',
      reasons: [{ code: 'wait.dependency' }],
    });
  });
});

const look = (records: ReadonlyMap<string, ServiceRecord>, held: ReadonlyMap<string, unknown> = holds) =>
  workloadHealth([camera, web], [], records, new Map(), held);

describe('the health of a release', () => {
  test('counts neither what is held nor what waits for it, and names both', () => {
    const { records } = plan(world({ desired: [camera, web] }));
    expect(look(records)).toEqual({
      isConverged: true,
      isFailed: false,
      unhealthy: [],
      held: ['camera', 'web'],
    });
    expect(look(records, new Map())).toMatchObject({ isConverged: false });
  });

  test('counts what does not run for another reason', () => {
    const { records } = plan(world({ desired: [camera, web] }));
    const broken = {
      ...(records.get('web') as ServiceRecord),
      state: 'failed' as const,
      settled: 'failed' as const,
    };
    const failed = { ...broken, reasons: [{ code: 'exit.code' as const, message: 'x', at: 1 }] };
    expect(look(new Map([...records, ['web', failed]]))).toMatchObject({ isFailed: true, held: ['camera'] });
  });

  test('keeps an end for want of memory, by whomever it is stopped', () => {
    const oom = { code: 'exit.oom' as const, message: 'x', at: 9 };
    const known = record({ reasons: [oom] });
    expect(look(new Map([['camera', known]]))).toMatchObject({ outOfMemory: { service: 'camera', at: 9 } });
  });

  test('knows who waits for whom over several steps', () => {
    const services = ['a', 'b', 'c', 'd'].map((name, index, all) => ({
      name,
      needs: index > 0 ? [all[index - 1] as string] : [],
      isWaiting: name !== 'd',
    }));
    expect([...heldBack(services, new Set(['a']))]).toEqual(['a', 'b', 'c']);
  });
});

describe('the time of a stop by hand', () => {
  const kept: ServiceHold = {
    v: 1,
    by: 'ada',
    at: 1e12,
    until: 1e12 + 60_000,
    boot: { id: 'one', upMs: 5_000 },
  };
  const left = (parts: Partial<Parameters<typeof remainingMs>[1]>): number =>
    remainingMs(kept, { now: kept.at, bootId: 'one', upMs: 5_000, seenUpMs: 5_000, ...parts });

  test('is counted in its boot, wherever the clock is set', () => {
    expect(left({ upMs: 15_000, now: 0 })).toBe(50_000);
    expect(left({ upMs: 15_000, now: 2e12 })).toBe(50_000);
    expect(left({ upMs: 65_000, now: 0 })).toBe(0);
  });

  test('goes by the clock after a reboot', () => {
    expect(left({ bootId: 'two', upMs: 10, now: kept.at + 20_000 })).toBe(40_000);
    expect(left({ bootId: 'two', upMs: 10, now: kept.until })).toBe(0);
  });

  test('is counted anew after a reboot into the past, until the clock has been set', () => {
    expect(left({ bootId: 'two', upMs: 20_000, seenUpMs: 8_000, now: 86_400_000 })).toBe(48_000);
    expect(left({ bootId: 'two', upMs: 80_000, seenUpMs: 8_000, now: 86_400_000 })).toBe(0);
    expect(left({ bootId: 'two', upMs: 20_000, seenUpMs: 8_000, now: kept.at + 59_000 })).toBe(1_000);
  });

  test('never lasts longer than asked, nor than anything may', () => {
    const ms = fc.integer({ min: -1e13, max: 1e13 });
    fc.assert(
      fc.property(ms, ms, ms, ms, fc.boolean(), (now, upMs, seen, length, isSame) => {
        const long = { ...kept, until: kept.at + Math.abs(length) };
        const seenUpMs = Math.min(seen, upMs);
        const up = Math.max(upMs, isSame ? long.boot.upMs : upMs);
        const lasts = remainingMs(long, { now, upMs: up, seenUpMs, bootId: isSame ? 'one' : 'two' });
        return lasts >= 0 && lasts <= Math.min(Math.abs(length), HOLD_MAX_MS);
      }),
    );
  });

  test('is read back as it was written, and nothing else is', () => {
    expect(parseHold(JSON.stringify(kept))).toEqual(kept);
    for (const text of ['', '{}', '{"v":2}', JSON.stringify({ ...kept, until: 'soon' }), 'null'])
      expect(parseHold(text)).toBeUndefined();
  });
});
