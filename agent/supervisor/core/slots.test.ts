import { expect, test } from 'vitest';
import { serviceSpec } from '../../../test/support/service-specs.ts';
import type { ObservedContainer } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { newRecord, type ServiceRecord } from './record.ts';
import { DRAIN_MS, SETTLE_MS, type SlotWorld, slotsOf } from './slots.ts';

const NOW = 100_000;
const MIB = 1024 ** 2;
const web = (version: string, memoryMaxBytes = 16 * MIB): ServiceSpec =>
  serviceSpec('web', {
    args: [version],
    update: { strategy: 'start-then-stop' },
    resources: { memoryMaxBytes, cpuMax: 0.5, pidsMax: 16 },
  });
const running = (service: string, { digest }: ServiceSpec, startedAt: number): ObservedContainer => ({
  service,
  specDigest: digest,
  state: 'running',
  pid: 7,
  startedAt,
});
const record = (spec: ServiceSpec): ServiceRecord => ({
  ...newRecord(spec, 0),
  state: 'running',
  holds: true,
  starts: 1,
});
const look = (desired: ServiceSpec, parts: Partial<SlotWorld>) =>
  slotsOf({
    desired: [desired],
    observed: [],
    records: new Map(),
    health: new Map(),
    namedSince: new Map(),
    now: NOW,
    ...parts,
  });

const old = web('v1');
const next = web('v2');
const onlyOld = { observed: [running('web', old, 0)], records: new Map([['web', record(old)]]) };

test('a new version goes into the other instance, and the old one keeps the name', () => {
  const slots = look(next, onlyOld);
  expect(slots.desired).toEqual([{ ...next, name: 'web.2' }]);
  expect(slots.outgoing.get('web')).toMatchObject({ by: 'web.2', mayGo: false });
  expect([...slots.standby]).toEqual(['web.2']);
});

test('the old one may go some time after the new one is well and has the name', () => {
  const at = (now: number, named?: number) => {
    const slots = look(next, {
      observed: [running('web', old, 0), running('web.2', next, NOW)],
      records: new Map([
        ['web', record(old)],
        ['web.2', record(next)],
      ]),
      namedSince: new Map(named === undefined ? [] : [['web.2', named]]),
      now,
    });
    return { ...slots.outgoing.get('web'), standby: [...slots.standby] };
  };
  const settled = NOW + SETTLE_MS;
  expect(at(NOW + 1)).toMatchObject({ mayGo: false, until: settled, standby: ['web.2'] });
  expect(at(settled)).toMatchObject({ mayGo: false, until: undefined, standby: ['web'] });
  expect(at(settled + 1, settled)).toMatchObject({ mayGo: false, until: settled + DRAIN_MS });
  expect(at(settled + DRAIN_MS, settled)).toMatchObject({ mayGo: true, standby: ['web'] });
});

test('once the old one is asked to end the name stays with the new one, whatever the agent knows of it', () => {
  const ending = { ...record(old), stopping: { at: NOW } };
  const both = {
    observed: [running('web', old, 0), running('web.2', next, NOW)],
    records: new Map([
      ['web', ending],
      ['web.2', record(next)],
    ]),
  };
  expect([...look(next, both).standby]).toEqual(['web']);
  // The other way round: the old version is wanted again, and is asked to end already.
  expect([...look(old, both).standby]).toEqual(['web']);
});

test('a version that asks for less than the old one stops that first: only the new budget was admitted twice', () => {
  const slots = look(web('v2', 8 * MIB), onlyOld);
  expect(slots.desired).toMatchObject([{ name: 'web' }]);
  expect(slots.outgoing.size).toBe(0);
});

test('without the strategy nothing has a second instance', () => {
  const plain = serviceSpec('web', { args: ['v2'] });
  const slots = look(plain, onlyOld);
  expect(slots.desired[0]).toBe(plain);
  expect([slots.outgoing.size, slots.behind.size, slots.standby.size]).toEqual([0, 0, 0]);
});

test('a third version takes the place of the second, which was not well yet', () => {
  const slots = look(web('v3'), {
    observed: [running('web', old, 0), running('web.2', next, NOW)],
    records: new Map([
      ['web', record(old)],
      ['web.2', record(next)],
    ]),
  });
  expect(slots.desired).toMatchObject([{ name: 'web.2' }]);
  expect(slots.outgoing.get('web')).toMatchObject({ by: 'web.2', mayGo: false });
});

test('without it a version does not start before another one has ended, however that came about', () => {
  const plain = serviceSpec('web', { args: ['v3'] });
  const slots = look(plain, {
    observed: [running('web.2', next, NOW)],
    records: new Map([
      ['web', { ...record(plain), holds: false }],
      ['web.2', record(next)],
    ]),
  });
  expect(slots.desired).toMatchObject([{ name: 'web' }]);
  expect(slots.behind.get('web')).toBe('web.2');
  expect(slots.outgoing.size).toBe(0);
});
