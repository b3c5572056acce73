import { expect, test } from 'vitest';
import { serviceSpec } from '../../../test/support/service-specs.ts';
import { CHECK } from '../../../test/support/step-machine.ts';
import type { ObservedContainer } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { newRecord, type ServiceRecord } from './record.ts';
import { rehearse, type Scene } from './rehearse.ts';
import { noShedding } from './shedding.ts';

const NOW = 1_800_000_000_000;
const STARTED = NOW - 3_600_000;

const sceneOf = (
  specs: ServiceSpec[],
  change: Partial<Record<string, Partial<ServiceRecord>>> = {},
): Scene => ({
  observed: specs.map(
    (spec, index): ObservedContainer => ({
      service: spec.name,
      specDigest: spec.digest,
      state: 'running',
      pid: 100 + index,
      startedAt: STARTED,
    }),
  ),
  records: new Map(
    specs.map((spec) => [
      spec.name,
      { ...newRecord(spec, STARTED), state: 'running', starts: 1, holds: true, ...change[spec.name] },
    ]),
  ),
  health: new Map(
    specs.flatMap((spec, index) =>
      spec.health
        ? [
            [
              spec.name,
              { pid: 100 + index, startedAt: STARTED, state: 'healthy', since: STARTED, failures: 0 },
            ],
          ]
        : [],
    ),
  ),
  shedding: noShedding(NOW),
  holds: new Map(),
  now: NOW,
});

const short = ({ steps }: ReturnType<typeof rehearse>) =>
  steps.map(({ atMs, kind, service }) => `${atMs} ${kind} ${service}`);
const acts = ({ services }: ReturnType<typeof rehearse>) =>
  Object.fromEntries(services.map(({ service, act, awayMs }) => [service, [act, awayMs]]));

const cache = serviceSpec('cache');
const web = serviceSpec('web', { dependsOn: { cache: 'started' } });

test('a release that changes nothing takes no step', () => {
  const told = rehearse(sceneOf([cache, web]), [cache, web]);
  expect([told.steps, told.totalMs]).toEqual([[], 0]);
  expect(acts(told)).toEqual({ cache: ['keep', 0], web: ['keep', 0] });
});

test('only what changed stops and starts; without a past the grace and an assumed start count', () => {
  const next = serviceSpec('web', { args: ['/bin/new'] });
  const told = rehearse(sceneOf([cache, web]), [cache, next]);
  expect(short(told)).toEqual(['0 stop web', '2000 start web']);
  expect(acts(told)).toEqual({ cache: ['keep', 0], web: ['restart', 3000] });
  expect(told.services.find(({ service }) => service === 'web')?.times).toMatchObject({
    stop: { ms: 2000, from: 'grace' },
    start: { ms: 1000, from: 'assumed' },
  });
});

test('times that were measured here are used', () => {
  const reasons: ServiceRecord['reasons'] = [
    { code: 'start.desired', message: '', at: STARTED - 40 },
    { code: 'exit.code', message: '', at: STARTED - 90 },
    { code: 'stop.operator', message: '', at: STARTED - 100 },
  ];
  const told = rehearse(sceneOf([web, cache], { web: { reasons } }), [
    cache,
    serviceSpec('web', { args: ['/x'] }),
  ]);
  expect(acts(told)['web']).toEqual(['restart', 50]);
  expect(told.services.find(({ service }) => service === 'web')?.times).toMatchObject({
    stop: { ms: 10, from: 'measured' },
    start: { ms: 40, from: 'measured' },
  });
});

test('what depends on another starts after it, and is away until its check succeeds', () => {
  const newCache = serviceSpec('cache', { args: ['/bin/v2'], health: CHECK });
  const newWeb = serviceSpec('web', { args: ['/bin/v2'], dependsOn: { cache: 'healthy' } });
  const told = rehearse(sceneOf([cache, web]), [newCache, newWeb]);
  expect(short(told)).toEqual(['0 stop cache', '0 stop web', '2000 start cache', '3500 start web']);
  expect(acts(told)).toEqual({ cache: ['restart', 3500], web: ['restart', 4500] });
});

test('start-then-stop keeps the name answered', () => {
  const update = { strategy: 'start-then-stop' } as const;
  const first = serviceSpec('web', { update });
  const second = serviceSpec('web', { update, args: ['/bin/v2'] });
  const told = rehearse(sceneOf([first]), [second]);
  expect(short(told).map((line) => line.slice(line.indexOf(' ')))).toEqual([' start web', ' stop web']);
  expect(acts(told)).toEqual({ web: ['replace', 0] });
});

test('what leaves is stopped, what is new is started', () => {
  const told = rehearse(sceneOf([cache]), [serviceSpec('fresh')]);
  expect(acts(told)).toEqual({ cache: ['stop', 0], fresh: ['start', 1000] });
});

test('nothing of the scene is changed', () => {
  const scene = sceneOf([cache, web]);
  const before = JSON.stringify([scene.observed, [...scene.records]]);
  rehearse(scene, []);
  expect(JSON.stringify([scene.observed, [...scene.records]])).toBe(before);
});

test('one that waits for what never comes is told with what it waits for', () => {
  const told = rehearse(sceneOf([]), [serviceSpec('web', { dependsOn: { cache: 'started' } })]);
  expect(told.services).toMatchObject([{ act: 'wait', waitsFor: 'Waits for "cache" to be running' }]);
});
