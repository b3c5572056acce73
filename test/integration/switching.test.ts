import { writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LEASE_FILE } from '../../protocol/service-lease.ts';
import { buildAgent } from '../../scripts/build.ts';
import { TestFleet } from '../support/fleet-server.ts';
import { RealDevice } from '../support/real-device.ts';
import { busyboxLayer, type Layer, Publisher, serviceRelease } from '../support/service-release.ts';
import { makeSigner } from '../support/signed-release.ts';
import { until } from '../support/until.ts';

/** One device, and every way in which it waits, is asked and is overridden: server, agent and CLI as they are. */
let fleet: TestFleet;
let publisher: Publisher;
let device: RealDevice;
let base: Layer;

/** Opens once a year, for a minute: closed whenever this runs, but for one minute. */
const NEVER = { windows: [{ schedule: '7 4 29 2 *', minutes: 1 }] };

beforeAll(async () => {
  await buildAgent(() => {});
  fleet = await TestFleet.start();
  publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
  base = await busyboxLayer();
  device = await RealDevice.create(fleet, 'waits', publisher.signer.rootText);
  await device.start();
  await until(async () => (await fleet.api('GET', '/devices/waits')).body.isOnline, { what: 'the device' });
  await attemptIs(await rollOut(await publish('1')), 'committed');
}, 180_000);

afterAll(async () => {
  await device?.remove();
  await fleet?.close();
}, 90_000);

const publish = (version: string): Promise<string> =>
  publisher.publish(
    serviceRelease(version, { web: { layers: [base], update: { lease: true } } }, { soakMs: 300 }),
  );

async function rollOut(releaseId: string, more: object = {}): Promise<string> {
  const { status, body } = await fleet.api('POST', '/rollouts', { releaseId, devices: ['waits'], ...more });
  if (status !== 201) throw new Error(JSON.stringify(body));
  return body.id;
}

async function attemptIs(rollout: string, state: string, code?: string): Promise<{ message: string }> {
  return until(
    async () => {
      const [attempt] = (await fleet.api('GET', `/rollouts/${rollout}`)).body.attempts;
      return attempt.state === state && (!code || attempt.reason?.code === code) && (attempt.reason ?? {});
    },
    { timeoutMs: 60_000, what: `${state} ${code ?? ''}: ${device.log.slice(-800)}` },
  );
}

const status = async () => JSON.parse((await device.cli('update', 'status', '--json')).stdout);

test('it waits for its window, says so on both sides, and an urgent word switches it', async () => {
  const rollout = await rollOut(await publish('2'), { policy: NEVER });
  const { message } = await attemptIs(rollout, 'waiting', 'wait.window');
  expect(message).toContain('02-29T04:07');
  expect(await status()).toMatchObject({
    phase: 'waiting',
    reason: { code: 'wait.window' },
    incoming: { policy: NEVER, window: { isOpen: false } },
    current: { version: '1' },
  });
  expect((await device.cli('status')).stdout).toContain('the time of the new release');
  await fleet.api('POST', `/rollouts/${rollout}/urgent`);
  await attemptIs(rollout, 'committed');
  expect((await status()).current.version).toBe('2');
});

test('it waits for somebody to agree, and goes on at once', async () => {
  const rollout = await rollOut(await publish('3'), { policy: { consent: 'required' } });
  await attemptIs(rollout, 'waiting', 'wait.consent');
  const said = await device.cli('update', 'consent', '--by', 'grace');
  expect(said).toMatchObject({ code: 0, stdout: expect.stringContaining('agreed to') });
  await attemptIs(rollout, 'committed');
  const { stdout } = await device.cli('update', 'history');
  expect(stdout).toContain('grace agreed to boat 3');
});

test('a service that is busy, a lease by hand and a deferral hold it, in turn', async () => {
  const busy = join(device.dir, 'run/roots/web/lease', LEASE_FILE);
  writeFileSync(busy, '600\nmeasuring\n');
  expect(
    (await device.cli('lease', 'take', '--for', '30m', '--why', 'on the ladder', '--holder', 'grace')).code,
  ).toBe(0);
  const rollout = await rollOut(await publish('4'));
  await attemptIs(rollout, 'waiting', 'wait.lease');
  expect((await device.cli('update', 'defer', '--for', '1h')).code).toBe(0);
  await attemptIs(rollout, 'waiting', 'wait.deferred');
  expect((await device.cli('update', 'rollback')).code).toBe(4);

  const leases = (await device.cli('lease', 'show')).stdout;
  expect(leases).toMatch(/grace +person .*on the ladder/);
  expect(leases).toMatch(/web +service .*measuring/);
  await rm(busy);
  expect((await device.cli('update', 'defer', '--for', '1ms')).code).toBe(0);
  expect((await attemptIs(rollout, 'waiting', 'wait.lease')).message).toContain('on the ladder');
  expect((await device.cli('lease', 'release', '--holder', 'grace')).stdout).toBe('grace: released\n');
  await attemptIs(rollout, 'committed');
});

test('a rollback by hand goes back without the server, and the release that was left is bad here', async () => {
  const said = await device.cli('update', 'rollback', '--by', 'ada', '--json');
  expect(JSON.parse(said.stdout)).toMatchObject({ wish: 'rollback', result: 'accepted', release: 'boat 3' });
  await until(
    async () => (await status()).current?.version === '3' && (await status()).phase === 'rolled_back',
    {
      timeoutMs: 30_000,
      what: 'the release before',
    },
  );
  expect((await device.cli('update', 'rollback')).code).toBe(1);
  const { stdout } = await device.cli('update', 'history');
  expect(stdout).toContain('ada rolled boat 4 back to boat 3');
});
