import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startFleetServer } from '../../fleet-server/main.ts';
import { openAssignment } from '../../protocol/assignment.ts';
import { upTopic } from '../../protocol/topics.ts';
import { ADMIN, certificateRequest, TestFleet } from '../support/fleet-server.ts';
import {
  type BuiltRelease,
  buildRelease,
  makeSigner,
  newKey,
  type Signer,
  signRelease,
} from '../support/signed-release.ts';
import { until } from '../support/until.ts';

let fleet: TestFleet;
let signer: Signer;
let one: BuiltRelease;

async function upload(release: BuiltRelease): Promise<void> {
  await fleet.api('PUT', `/objects/${release.blobName}`, release.blob);
  await fleet.api('PUT', `/objects/manifest-${release.manifestSha256}`, Buffer.from(release.manifestText));
}

beforeAll(async () => {
  fleet = await TestFleet.start();
  signer = makeSigner((await fleet.api('GET', '/repository')).body);
  one = await buildRelease('1.0.0');
  await upload(one);
  await fleet.api('POST', '/releases', signRelease(signer, one, 1));
});
afterAll(() => fleet.close());

const refused = async (body: object) => (await fleet.api('POST', '/releases', body)).body.code;
/** The signer, without remembering what it signs. */
const own = () => ({ ...signer, paths: { ...signer.paths } });

describe('a release on its way to a device', () => {
  test('is offered, fetched byte for byte, followed and completed', async () => {
    const device = await fleet.device('cam-1');
    const control = await device.connect('control');
    await device.hello(control);
    const seen = await fleet.watch();
    const [release] = (await fleet.api('GET', '/releases')).body.items;
    const rollout = await fleet.api('POST', '/rollouts', { releaseId: release.id, devices: ['cam-1'] });
    expect(rollout).toMatchObject({ status: 201, body: { state: 'running' } });

    const opened = openAssignment(
      JSON.parse((await device.next('desired')).toString()),
      device.identity.fleetKey,
    );
    expect(opened).toMatchObject({ ok: true, assignment: { device: 'cam-1', generation: 1 } });

    const bulk = await device.connect('bulk');
    expect((await device.fetch(bulk, `manifest-${one.manifestSha256}`)).toString()).toBe(one.manifestText);
    expect((await device.fetch(bulk, one.blobName)).equals(one.blob)).toBe(true);
    expect(JSON.parse((await device.fetch(bulk, 'timestamp')).toString()).signed.meta).toHaveProperty([
      'snapshot.json',
    ]);
    await expect(device.fetch(bulk, `blob-${'0'.repeat(64)}`)).rejects.toThrow('unknown-object');

    const ref = { name: 'demo', version: '1.0.0', manifest: one.manifestSha256, generation: 1 };
    const progress = { doneBytes: 1, totalBytes: 2, reusedBytes: 0 };
    const state = async () => (await fleet.api('GET', `/rollouts/${rollout.body.id}`)).body;
    await device.report(control, 1, { phase: 'fetching', release: ref, progress });
    await until(async () => (await state()).attempts[0].state === 'downloading', { what: 'downloading' });
    await until(() => seen.text.includes('"downloading"'), { what: 'downloading on the stream' });
    await device.report(control, 1, { phase: 'soaking', release: ref });
    await until(async () => (await state()).attempts[0].state === 'soaking', { what: 'soaking' });
    await device.report(control, 1, { phase: 'committed', release: ref }, ref);
    await until(async () => (await state()).state === 'completed', { what: 'the rollout to complete' });
    await until(() => seen.text.includes('"completed"'), { what: 'completion on the stream' });
    const shown = (await fleet.api('GET', '/devices/cam-1')).body;
    expect(shown).toMatchObject({ isOnline: true, updatePhase: 'committed', current: { version: '1.0.0' } });
    const metrics = () => fleet.api('GET', '/devices/cam-1/metrics?minutes=5');
    await until(async () => (await metrics()).body.items[0]?.memoryBytes.length === 3, { what: 'metrics' });
    seen.stop();
    await device.close();
  });

  test('an event is stored once and acknowledged each time', async () => {
    const device = await fleet.device('cam-event');
    const control = await device.connect('control');
    const event = {
      v: 1,
      id: '0'.repeat(36),
      at: 1,
      kind: 'service',
      code: 'exit.oom',
      message: 'm',
      service: 'web',
    };
    for (let times = 0; times < 2; times++) {
      await control.publishAsync(upTopic('default', device.id, 'event'), JSON.stringify(event), { qos: 1 });
      expect(JSON.parse((await device.next('ack')).toString()).ids).toEqual([event.id]);
    }
    expect((await fleet.api('GET', '/devices/cam-event/events')).body.items).toEqual([event]);
    await device.close();
  });
});

describe('what the server refuses', () => {
  test('an upload that is not what its name says, keeping nothing', async () => {
    const tampered = await buildRelease('9.0.0');
    const bytes = Buffer.from(tampered.blob);
    bytes[12_345] = (bytes[12_345] ?? 0) ^ 1;
    expect(await fleet.api('PUT', `/objects/${tampered.blobName}`, bytes)).toMatchObject({
      status: 422,
      body: { code: 'object.digest-mismatch' },
    });
    expect((await fleet.api('HEAD', `/objects/${tampered.blobName}`)).status).toBe(404);
  });

  test('targets by a wrong key, older targets, a changed release, missing blobs, budgets, unknown boards', async () => {
    const two = await buildRelease('2.0.0');
    await fleet.api('PUT', `/objects/manifest-${two.manifestSha256}`, Buffer.from(two.manifestText));
    expect(await refused(signRelease(own(), two, 2))).toBe('release.blobs-missing');
    await upload(two);
    expect(await refused(signRelease(own(), two, 2, newKey()))).toBe('release.metadata-signature');
    expect(await refused(signRelease(own(), two, 1))).toBe('release.metadata-rollback');
    const changed = await buildRelease('1.0.0');
    await upload(changed);
    expect(await refused(signRelease(own(), changed, 2))).toBe('release.metadata-mismatch');
    expect(
      await refused({ ...signRelease(own(), two, 2), manifestSha256: one.manifestSha256, roots: [] }),
    ).toBe(undefined);
    const large = await buildRelease('3.0.0', { memoryMaxBytes: 64 * 1024 ** 3 });
    await upload(large);
    expect(await refused(signRelease(own(), large, 9))).toBe('release.admission');
    const odd = await buildRelease('4.0.0', { boards: ['toaster'] });
    await upload(odd);
    expect(await refused(signRelease(own(), odd, 9))).toBe('release.board-unknown');
    const other = makeSigner((await fleet.api('GET', '/repository')).body);
    expect(await refused(signRelease(other, two, 9))).toBe('release.metadata-mismatch');
    expect((await fleet.api('GET', '/releases')).body.items).toHaveLength(1);
  });

  test('a rollout to the wrong board, to nobody, of nothing', async () => {
    const pi = await fleet.device('pi-1', 'raspberry-pi-4');
    const releaseId = (await fleet.api('GET', '/releases')).body.items[0].id;
    const start = async (body: object) => (await fleet.api('POST', '/rollouts', body)).body.code;
    expect(await start({ releaseId, devices: [pi.id] })).toBe('rollout.board-mismatch');
    expect(await start({ releaseId, devices: [] })).toBe('rollout.empty');
    expect(await start({ releaseId, devices: ['nobody'] })).toBe('device.unknown');
    expect(await start({ releaseId: 'x', devices: [pi.id] })).toBe('release.unknown');
  });

  test('who is not signed in, and other sites', async () => {
    for (const path of ['/devices', '/releases', '/rollouts', '/repository', '/stream', '/session']) {
      expect((await fetch(`${fleet.server.url}/api/v1${path}`)).status).toBe(401);
    }
    const post = (path: string, body: object, headers = {}) =>
      fetch(`${fleet.server.url}/api/v1${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      });
    expect((await post('/session', { ...ADMIN, password: 'wrong' })).status).toBe(401);
    const cookie = (await post('/session', ADMIN)).headers.getSetCookie()[0] ?? '';
    expect(cookie).toMatch(/HttpOnly.*SameSite=Strict/);
    const evil = { cookie: cookie.split(';')[0], origin: 'http://evil.example' };
    expect((await post('/api-tokens', { note: '' }, evil)).status).toBe(403);
    expect((await post('/api-tokens', { note: '' }, { cookie: evil.cookie })).status).toBe(403);
    const missing = await fleet.api('GET', '/nothing');
    expect(missing).toMatchObject({ status: 404, body: { code: 'request.not-found' } });
  });

  test('enrolment without a good token or request; a taken name gets a suffix', async () => {
    const { csr } = certificateRequest('cam-1');
    const body = { v: 1, csr, name: 'cam-1', board: 'generic-amd64', platform: 'linux/amd64' };
    const code = async (over: object) => (await fleet.enrol({ ...body, ...over })).body.code;
    expect(await code({ token: 'x'.repeat(32) })).toBe('enrol.token-unknown');
    const token = await fleet.joinToken();
    expect(await code({ token, csr: csr.replace(/[A-Za-z]/g, 'A') })).toBe('enrol.csr-bad');
    const enrolled = await fleet.enrol({ ...body, token });
    expect(enrolled.body.device).toMatch(/^cam-1-[0-9a-f]{6}$/);
    expect(await code({ token })).toBe('enrol.token-used-up');
    expect(await code({ token, extra: 1 })).toBe('request.invalid');
  });
});

test('a port in use is named', async () => {
  const config = fleet.config({ dataDir: join(fleet.dataDir, 'second'), port: fleet.server.ports.rest });
  await expect(startFleetServer(config)).rejects.toThrow(
    `Cannot listen on 127.0.0.1:${fleet.server.ports.rest}: the port is in use`,
  );
});

test('OpenAPI describes the routes', async () => {
  const document = (await fleet.api('GET', '/openapi.json')).body;
  expect(document.openapi).toBe('3.1.0');
  expect(Object.keys(document.paths)).toContain('/api/v1/devices/{id}');
});

test('a restart keeps identity, keys and state', async () => {
  const device = await fleet.device('cam-restart');
  const before = (await fleet.api('GET', '/repository')).body;
  await fleet.server.close();
  await fleet.open();
  expect((await fleet.api('GET', '/repository')).body).toEqual(before);
  const control = await device.connect('control');
  expect(control.connected).toBe(true);
  expect((await fleet.api('GET', '/releases')).body.items).toHaveLength(1);
  for (const secret of [
    'ca/ca.key',
    'ca/server.key',
    'keys/fleet.pem',
    'keys/snapshot.pem',
    'keys/timestamp.pem',
  ])
    expect(statSync(join(fleet.dataDir, secret)).mode & 0o777).toBe(0o600);
  await device.close();
});
