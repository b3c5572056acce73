import { beforeEach, expect, test } from 'vitest';
import type { ServiceStatus } from '../protocol/status.ts';
import { serviceSpec } from '../test/support/service-specs.ts';
import { holdDesk } from './hold-desk.ts';
import { fakeService } from './local-api/fake-status.ts';
import { FakeClock } from './supervisor/fake-clock.ts';
import { FakeHoldMemory } from './supervisor/fake-hold-memory.ts';
import { ServiceHolds } from './supervisor/service-holds.ts';

const NOW = Date.UTC(2026, 10, 21, 10);
const HOUR = 3_600_000;

let memory: FakeHoldMemory;
let clock: FakeClock;
let upMs: number;
let known: Set<string> | undefined;
let state: ServiceStatus['state'];
let faults: { code: 'agent.disk-full'; message: string; at: number }[];
const asked: string[] = [];

beforeEach(() => {
  memory = new FakeHoldMemory();
  clock = new FakeClock(NOW);
  upMs = 0;
  known = undefined;
  state = 'running';
  faults = [];
  asked.length = 0;
});

const openHolds = (bootId = 'one'): ServiceHolds =>
  new ServiceHolds({ memory, clock, bootId, upMs: () => upMs, services: () => known });

const did = (what: string) => {
  asked.push(what);
  return 'accepted' as const;
};

/** The desk of an agent that has just come up. */
function openDesk(holds = openHolds()) {
  const desk = holdDesk({
    holds,
    supervisor: {
      halt: (service) => void did(`halt ${service}`),
      launch: (service, by, why) => did(`launch ${service} ${by} ${why}`),
      restart: (service, by, why) => did(`restart ${service} ${by} ${why}`),
      statuses: () => [fakeService('camera', { state })],
    },
    desired: () => ({
      release: undefined,
      services: [serviceSpec('camera'), serviceSpec('web', { dependsOn: { camera: 'started' } })],
    }),
    ledger: { faults: () => faults, outbox: { add: (event) => void memory.told.push(event) } },
    clock,
  });
  return { desk, holds };
}

const told = (): string[] => memory.told.map(({ code, message }) => `${code}: ${message}`);
const pass = async (ms: number): Promise<void> => {
  upMs += ms;
  await clock.advance(ms);
};

test('a stop lasts an hour unless said, names who depends on it, and is told with who and why', () => {
  const { desk } = openDesk();
  expect(desk.stop('camera', { who: 'ada', why: 'cleaning' })).toEqual({
    service: 'camera',
    result: 'held',
    until: NOW + HOUR,
    dependants: ['web'],
  });
  expect(desk.of('camera')).toEqual({ by: 'ada', why: 'cleaning', since: NOW, until: NOW + HOUR });
  expect(told()).toEqual(['stop.by-hand: ada stopped it by hand until 2026-11-21T11:00:00Z: cleaning']);
  expect(asked).toEqual(['halt camera']);
});

test('asked again the time begins anew, and nothing lasts longer than a week', async () => {
  const { desk } = openDesk();
  desk.stop('camera', { who: 'ada', forMs: HOUR });
  await pass(1_000);
  desk.stop('camera', { who: 'bob', forMs: 1e12 });
  expect(desk.of('camera')).toEqual({ by: 'bob', since: NOW + 1_000, until: NOW + 1_000 + 7 * 24 * HOUR });
});

test('it is there when the agent comes back, and after a reboot', async () => {
  openDesk().desk.stop('camera', { who: 'ada', forMs: HOUR });
  await pass(HOUR / 2);
  expect(openDesk().desk.of('camera')?.until).toBe(NOW + HOUR);
  upMs = 3_000;
  expect(openDesk(openHolds('two')).desk.of('camera')?.until).toBe(NOW + HOUR);
});

test('when its time is over it is forgotten for good, and that is told once', async () => {
  const { desk, holds } = openDesk();
  desk.stop('camera', { who: 'ada', forMs: HOUR });
  await pass(HOUR);
  expect([holds.inForce().size, holds.inForce().size, memory.kept.size]).toEqual([0, 0, 0]);
  expect(told().slice(1)).toEqual(['hold.ended: The time for which ada stopped it by hand is over']);
});

test('a service that left for good takes its stop along; one that is still on its way does not', () => {
  const { desk, holds } = openDesk();
  desk.stop('camera', { who: 'ada' });
  known = new Set(['web', 'camera']);
  expect(holds.inForce().size).toBe(1);
  known = undefined;
  expect(holds.inForce().size).toBe(1);
  known = new Set(['web']);
  expect(holds.inForce().size).toBe(0);
  expect(told().at(-1)).toMatch(/^hold\.ended: The release does not hold it any more/);
});

test('a start ends it and says who; one that runs already is a success that does nothing', () => {
  const { desk } = openDesk();
  desk.stop('camera', { who: 'ada' });
  state = 'stopped';
  expect(desk.start('camera', { who: 'bob', why: 'clean' })).toEqual({
    service: 'camera',
    result: 'accepted',
  });
  expect(desk.of('camera')).toBeUndefined();
  expect(asked.at(-1)).toBe('launch camera bob clean');
  state = 'running';
  expect(desk.start('camera', { who: 'bob' })).toEqual({ service: 'camera', result: 'running' });
  expect(told().slice(1)).toEqual(['start.by-hand: bob started it: clean']);
});

test('a start of what gave up is told too', () => {
  state = 'failed';
  openDesk().desk.start('camera', { who: 'bob' });
  expect([told(), asked]).toEqual([['start.by-hand: bob started it'], ['launch camera bob undefined']]);
});

test('a restart is refused while it is stopped by hand, in words that name whoever did it', () => {
  const { desk } = openDesk();
  desk.stop('camera', { who: 'ada', why: 'cleaning' });
  expect(desk.restart('camera', { who: 'server' })).toEqual({
    refused:
      'Cannot restart "camera": ada stopped it by hand until 2026-11-21T11:00:00Z: cleaning; start it when that is done',
  });
  expect(asked).toEqual(['halt camera']);
});

test('a restart of what does not run is told; of one that runs its stop is', () => {
  const { desk } = openDesk();
  desk.restart('camera', { who: 'ada', why: 'stuck' });
  expect([asked, told()]).toEqual([['restart camera ada stuck'], []]);
  state = 'crash_looping';
  desk.restart('camera', { who: 'ada', why: 'stuck' });
  expect(told()).toEqual(['start.operator: ada restarted it: stuck']);
});

test('a full disk does not keep anybody from stopping a service, but is said', () => {
  faults = [{ code: 'agent.disk-full', message: 'x', at: NOW }];
  expect(openDesk().desk.stop('camera', { who: 'ada' })).toMatchObject({ result: 'held', isUnsaved: true });
});

test('a service that the release does not hold cannot be stopped, started or restarted', () => {
  const { desk } = openDesk();
  for (const act of ['stop', 'start', 'restart'] as const)
    expect(desk[act]('nobody', { who: 'ada' })).toBe('unknown-service');
  expect([asked, told()]).toEqual([[], []]);
});
