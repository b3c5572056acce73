import { Value } from 'typebox/value';
import { afterEach, describe, expect, it } from 'vitest';
import { checkReport } from '../../../protocol/messages.ts';
import { checkPostMortem } from '../../../protocol/post-mortem.ts';
import { until } from '../../../test/support/until.ts';
import * as api from '../../rest/api.ts';
import { Fleet } from './mock/fleet.ts';
import { type Ask, respond } from './mock/routes.ts';
import { type MockServer, startMockServer } from './mock-server.ts';

/** The simulated server must say what the real one may say, at every moment of a rollout. */
const NOW = 1_790_000_000_000;

function ask(fleet: Fleet, path: string, rest: Partial<Ask> = {}) {
  return respond(fleet, { method: 'GET', path, body: undefined, isSignedIn: true, now: NOW, ...rest });
}

function faults(fleet: Fleet): string[] {
  const bodies = [
    [api.Page(api.DeviceSummary), ask(fleet, '/devices').body],
    [api.Page(api.Release), ask(fleet, '/releases').body],
    [api.Page(api.Rollout), ask(fleet, '/rollouts').body],
    ...fleet.devices.flatMap(({ detail: { id } }) => [
      [api.DeviceDetail, ask(fleet, `/devices/${id}`).body] as const,
      [api.DeviceMetrics, ask(fleet, `/devices/${id}/metrics`).body] as const,
      [api.DeviceEvents, ask(fleet, `/devices/${id}/events`).body] as const,
      [api.DevicePostMortems, ask(fleet, `/devices/${id}/postmortems`).body] as const,
    ]),
  ] as const;
  const wrong = bodies.flatMap(([schema, body]) =>
    [...Value.Errors(schema, body)].map((error) => JSON.stringify(error)),
  );
  const reports = fleet.devices.flatMap(({ detail: { report } }) => (report ? [report] : []));
  return [
    ...wrong,
    ...fleet.devices.flatMap(({ postMortems }) => postMortems.flatMap((each) => faultsIn(each))),
    ...reports.filter((report) => !isValid(report)).map(({ sequence }) => `report ${sequence}`),
  ];
}

function isValid(report: unknown): boolean {
  return checkReport(report).ok;
}

function faultsIn(postMortem: unknown): string[] {
  const checked = checkPostMortem(postMortem);
  return checked.ok ? [] : checked.faults;
}

describe('simulated fleet', () => {
  it('answers with the schemas of the real API from the first second to the end of a rollout', () => {
    const fleet = new Fleet(NOW, () => undefined);
    const [release] = fleet.releases;
    fleet.start({ releaseId: release?.id ?? '', devices: ['gauge-01', 'gauge-04'] }, 'admin', NOW);
    const windows = [{ schedule: '0 2 * * 6', minutes: 60 }];
    const later = fleet.start(
      { releaseId: release?.id ?? '', devices: ['gauge-02'], policy: { windows } },
      'admin',
      NOW + 1,
    );
    const wrong: string[] = [];
    for (let second = 0; second < 90; second++) {
      fleet.tick(NOW + second * 1_000);
      if (second === 40) fleet.makeUrgent(later?.id ?? '', 'admin');
      if (second % 10 === 0) wrong.push(...faults(fleet));
    }
    expect(wrong).toEqual([]);
    const states = fleet.rollouts[1]?.attempts.map(({ state }) => state);
    expect(states).toEqual(['committed', 'rejected']);
    expect(later?.attempts.map(({ state }) => state)).toEqual(['committed']);
  });

  it('refuses whoever has not signed in with a problem', () => {
    const { status, body } = ask(new Fleet(NOW, () => undefined), '/devices', { isSignedIn: false });
    expect(status).toBe(401);
    expect([...Value.Errors(api.Problem, body)]).toEqual([]);
  });
});

describe('simulated server', () => {
  let server: MockServer | undefined;
  afterEach(() => server?.close());

  it('streams the fleet to whoever is signed in', async () => {
    server = await startMockServer();
    const login = await fetch(`${server.url}/api/v1/session`, {
      method: 'POST',
      body: JSON.stringify({ name: 'admin', password: 'wherry' }),
    });
    const cookie = login.headers.get('set-cookie')?.split(';')[0] ?? '';
    const stream = await fetch(`${server.url}/api/v1/stream`, { headers: { cookie } });
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
    let seen = '';
    await until(
      async () => {
        seen += (await reader?.read())?.value ?? '';
        return seen.includes('event: device-report');
      },
      { what: 'a report on the stream' },
    );
    await reader?.cancel();
    expect(stream.headers.get('content-type')).toBe('text/event-stream');
  });
});
