import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSqlite } from '../../fleet-server/store/sqlite.ts';
import { type Assignment, openAssignment } from '../../protocol/assignment.ts';
import { type TestDevice, TestFleet } from '../support/fleet-server.ts';
import { type BuiltRelease, buildRelease, makeSigner, signRelease } from '../support/signed-release.ts';
import { until } from '../support/until.ts';

const WINDOWS = [{ schedule: '0 2 * * 6', minutes: 120 }];
const POLICY = { windows: WINDOWS, maxDeferralMs: 7 * 86_400_000, consent: 'required', power: 'external' };

let fleet: TestFleet;
let one: BuiltRelease;
let releaseId: string;

beforeAll(async () => {
  fleet = await TestFleet.start();
  const signer = makeSigner((await fleet.api('GET', '/repository')).body);
  one = await buildRelease('1.0.0');
  await fleet.api('PUT', `/objects/${one.blobName}`, one.blob);
  await fleet.api('PUT', `/objects/manifest-${one.manifestSha256}`, Buffer.from(one.manifestText));
  releaseId = (await fleet.api('POST', '/releases', signRelease(signer, one, 1))).body.id;
});
afterAll(() => fleet.close());

async function assignment(device: TestDevice, generation: number): Promise<Assignment> {
  for (;;) {
    const envelope = JSON.parse((await device.next('desired')).toString());
    const opened = openAssignment(envelope, device.identity.fleetKey);
    if (!opened.ok) throw new Error(opened.message);
    if (opened.assignment.generation === generation) return opened.assignment;
  }
}

const start = (devices: string[], more: object = {}) =>
  fleet.api('POST', '/rollouts', { releaseId, devices, ...more });
const rolloutOf = async (id: string) => (await fleet.api('GET', `/rollouts/${id}`)).body;
async function audits() {
  const db = await openSqlite(join(fleet.dataDir, 'fleet.db'));
  try {
    return await db.selectFrom('audit').select(['action', 'who', 'subject']).orderBy('id').execute();
  } finally {
    await db.destroy();
  }
}
const ref = (generation: number) => ({
  name: 'demo',
  version: '1.0.0',
  manifest: one.manifestSha256,
  generation,
});

test('the policy is signed into the assignment, a waiting device is told why, and urgent comes as a new generation', async () => {
  const device = await fleet.device('late');
  const soaking = await fleet.device('early');
  const control = await device.connect('control');
  const other = await soaking.connect('control');
  await device.hello(control);
  await soaking.hello(other);
  const rollout = (await start(['late', 'early'], { policy: POLICY })).body;
  expect(rollout).toMatchObject({ policy: POLICY, windows: ['Saturdays from 02:00 for 2 h'] });
  expect((await assignment(device, 1)).policy).toEqual(POLICY);

  const reason = { code: 'wait.window' as const, message: 'Waits for the update window of …', at: 5 };
  await device.report(control, 1, { phase: 'waiting', release: ref(1), reason });
  await soaking.report(other, 1, { phase: 'soaking', release: ref(1) });
  const states = async () =>
    (await rolloutOf(rollout.id)).attempts.map(({ state }: { state: string }) => state);
  await until(async () => (await states()).join() === 'soaking,waiting', { what: 'both states' });
  expect((await rolloutOf(rollout.id)).attempts[1].reason).toEqual(reason);

  expect((await fleet.api('POST', `/rollouts/${rollout.id}/urgent`)).status).toBe(200);
  expect((await fleet.api('POST', `/rollouts/${rollout.id}/urgent`)).status).toBe(200);
  const urgent = await assignment(device, 2);
  expect(urgent.policy).toEqual({ ...POLICY, urgent: { by: 'admin' } });
  expect(urgent.release.version).toBe('1.0.0');
  expect((await rolloutOf(rollout.id)).attempts).toMatchObject([{ generation: 1 }, { generation: 2 }]);
  const urgents = (await audits()).filter(({ action }) => action === 'rollout.urgent');
  expect(urgents).toEqual([{ action: 'rollout.urgent', who: 'admin', subject: rollout.id }]);

  await device.report(control, 2, { phase: 'committed', release: ref(2) }, ref(2));
  await soaking.report(other, 1, { phase: 'committed', release: ref(1) }, ref(1));
  await until(async () => (await rolloutOf(rollout.id)).state === 'completed', { what: 'the end' });
  expect(await fleet.api('POST', `/rollouts/${rollout.id}/urgent`)).toMatchObject({
    status: 409,
    body: { code: 'rollout.over' },
  });
  await device.close();
  await soaking.close();
});

test('urgent from the start is asked for by name of who asks, and recorded', async () => {
  const device = await fleet.device('now');
  await device.hello(await device.connect('control'));
  const rollout = (await start(['now'], { urgent: true })).body;
  expect((await assignment(device, 1)).policy).toEqual({ urgent: { by: 'admin' } });
  expect(
    (await audits()).some(({ action, subject }) => action === 'rollout.urgent' && subject === rollout.id),
  ).toBe(true);
  expect(await start(['now'], { policy: { urgent: { by: 'nobody' } } })).toMatchObject({
    status: 400,
    body: { code: 'request.invalid' },
  });
  await device.close();
});

test('a rollout without a policy asks for nothing', async () => {
  const device = await fleet.device('plain');
  await device.hello(await device.connect('control'));
  await start(['plain']);
  expect(await assignment(device, 1)).not.toHaveProperty('policy');
  await device.close();
});

test.each([
  ['99 2 * * *', 'out of range'],
  ['0 0 30 2 *', 'never comes'],
  ['0 2 * * xyz', 'cannot be read'],
])('the window "%s" is refused before anything is assigned', async (schedule, why) => {
  const windows = [{ schedule, minutes: 5 }];
  const refusal = { status: 422, body: { code: 'rollout.window-bad', detail: expect.stringContaining(why) } };
  expect(await start(['plain'], { policy: { windows } })).toMatchObject(refusal);
  expect(await fleet.api('POST', '/update-windows', { windows })).toMatchObject(refusal);
});

test('a rate of a rollout is shown and recorded; one that means nothing is refused', async () => {
  await fleet.device('slow');
  const started = await start(['slow'], { egressBytesPerSecond: 250_000 });
  expect(started.body.egressBytesPerSecond).toBe(250_000);
  expect((await rolloutOf(started.body.id)).egressBytesPerSecond).toBe(250_000);
  for (const egressBytesPerSecond of [0, 999, 1.5, 'quick'])
    expect(await start(['slow'], { egressBytesPerSecond })).toMatchObject({
      status: 400,
      body: { code: 'request.invalid' },
    });
  expect((await start(['slow'])).body.egressBytesPerSecond).toBeUndefined();
});

test('windows are told in words', async () => {
  expect((await fleet.api('POST', '/update-windows', { windows: WINDOWS })).body).toEqual({
    words: ['Saturdays from 02:00 for 2 h'],
  });
});

test('a pinned device is refused by name, and moves again once it is let go', async () => {
  const device = await fleet.device('kept');
  const control = await device.connect('control');
  await device.hello(control);
  const pin = (method: string) => fleet.api(method, '/devices/kept/pin');
  expect(await pin('PUT')).toMatchObject({ status: 409, body: { code: 'device.not-settled' } });
  await start(['kept']);
  await assignment(device, 1);
  expect(await pin('PUT')).toMatchObject({ status: 409, body: { code: 'device.not-settled' } });
  await device.report(control, 1, { phase: 'committed', release: ref(1) }, ref(1));
  await until(async () => (await pin('PUT')).status === 200, { what: 'the pin' });
  expect((await pin('PUT')).body.pinned).toMatchObject({ by: 'admin' });
  expect(await start(['plain', 'kept'])).toMatchObject({
    status: 409,
    body: { code: 'rollout.device-pinned', detail: expect.stringContaining('"kept" (by admin)') },
  });
  expect((await fleet.api('GET', '/devices/kept')).body.desired.generation).toBe(1);
  expect((await pin('DELETE')).body.pinned).toBeNull();
  expect((await start(['kept'])).status).toBe(201);
  const pins = (await audits()).filter(({ subject }) => subject === 'kept').map(({ action }) => action);
  expect(pins).toEqual(expect.arrayContaining(['device.pin', 'device.unpin']));
  await device.close();
});
