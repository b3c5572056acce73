import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FleetServer, startFleetServer } from '../../fleet-server/main.ts';
import { openAssignment } from '../../protocol/assignment.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { upTopic } from '../../protocol/topics.ts';
import { TestFleet } from '../support/fleet-server.ts';
import { buildRelease, makeSigner, signRelease } from '../support/signed-release.ts';
import { until } from '../support/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'wherry-web-'));
const web = join(folder, 'web');
let fleet: TestFleet;
let withUi: FleetServer;
let releaseId: string;
let manifest: string;

beforeAll(async () => {
  mkdirSync(join(web, 'assets'), { recursive: true });
  writeFileSync(join(web, 'index.html'), '<title>Fleet</title>');
  writeFileSync(join(web, 'assets/index-1a2b.js'), 'export {};');
  fleet = await TestFleet.start();
  withUi = await startFleetServer(fleet.config({ dataDir: join(folder, 'data'), webDir: web }));
  const release = await buildRelease('1.0.0', { blobBytes: 5000 });
  manifest = release.manifestSha256;
  await fleet.api('PUT', `/objects/${release.blobName}`, release.blob);
  await fleet.api('PUT', `/objects/manifest-${manifest}`, Buffer.from(release.manifestText));
  const signer = makeSigner((await fleet.api('GET', '/repository')).body);
  releaseId = (await fleet.api('POST', '/releases', signRelease(signer, release, 1))).body.id;
});
afterAll(async () => {
  await withUi.close();
  await fleet.close();
  rmSync(folder, { recursive: true, force: true });
});

test('a rollout waits for a device that is away and converges when it comes', async () => {
  const device = await fleet.device('away-1');
  const started = await fleet.api('POST', '/rollouts', { releaseId, devices: [device.id] });
  const rollout = async () => (await fleet.api('GET', `/rollouts/${started.body.id}`)).body;
  expect(await rollout()).toMatchObject({ state: 'running', attempts: [{ state: 'queued' }] });

  const control = await device.connect('control');
  await device.hello(control);
  const opened = openAssignment(
    JSON.parse((await device.next('desired')).toString()),
    device.identity.fleetKey,
  );
  expect(opened).toMatchObject({ ok: true, assignment: { generation: 1, release: { manifest } } });
  await until(async () => (await rollout()).attempts[0].state === 'offered', { what: 'the offer' });
  const ref = { name: 'demo', version: '1.0.0', manifest, generation: 1 };
  await device.report(control, 1, { phase: 'committed', release: ref }, ref);
  await until(async () => (await rollout()).state === 'completed', { what: 'the rollout to complete' });
  expect((await rollout()).attempts).toMatchObject([{ state: 'committed' }]);
  await device.close();
});

test('a report of an older generation brings the assignment again', async () => {
  const device = await fleet.device('behind-1');
  await fleet.api('POST', '/rollouts', { releaseId, devices: [device.id] });
  const control = await device.connect('control');
  await device.report(control, 0, {});
  const envelope = JSON.parse((await device.next('desired')).toString());
  expect(openAssignment(envelope, device.identity.fleetKey).ok).toBe(true);
  await device.close();
});

test('the stream begins with its retry time and tells each change as an event of its kind', async () => {
  await fleet.api('GET', '/devices');
  const seen = await fleet.watch();
  const device = await fleet.device('streamed-1');
  const control = await device.connect('control');
  await device.hello(control);
  await device.report(control, 0, {});
  await until(() => seen.text.includes('event: device-report'), { what: 'the report on the stream' });
  seen.stop();
  expect(seen.text.startsWith('retry: 2000\n\n')).toBe(true);
  const events = seen.text.split('\n\n').filter((block) => block.startsWith('id: '));
  const ids = events.map((block) => Number(/^id: (\d+)$/m.exec(block)?.[1]));
  expect(ids).toEqual(ids.map((_, at) => (ids[0] ?? 0) + at));
  const data = (kind: string) =>
    events
      .filter((block) => block.includes(`event: ${kind}\n`))
      .map((block) => JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? ''));
  expect(data('device').at(-1)).toMatchObject({ id: device.id, isOnline: true });
  expect(data('device-report')).toMatchObject([{ id: device.id, report: { generation: 0 } }]);
  await device.close();
});

/** The fixed header of a PUBLISH of so many bytes in all. */
function publish(bytes: number): number[] {
  const length = bytes - 4;
  return [0x30, (length & 127) | 128, ((length >> 7) & 127) | 128, length >> 14];
}

test('an authenticated session may send packets up to the limit and is cut beyond it', async () => {
  const device = await fleet.device('large-1');
  const { ca, certificate: cert } = device.identity;
  const at = { host: '127.0.0.1', port: fleet.server.ports.mqtt, servername: 'localhost' };
  const socket = connect({ ...at, ca, cert, key: device.key });
  const said: Buffer[] = [];
  socket.on('data', (data) => said.push(data));
  socket.on('error', () => {});
  const id = Buffer.from(device.id);
  const body = [0, 4, 77, 81, 84, 84, 4, 2, 0, 60, 0, id.length, ...id];
  socket.write(Buffer.from([0x10, body.length, ...body]));
  await until(() => Buffer.concat(said).equals(Buffer.from([0x20, 2, 0, 0])), { what: 'CONNACK' });
  const topic = Buffer.from(upTopic('default', device.id, 'report'));
  const whole = Buffer.alloc(LIMITS.packetBytes);
  whole.set([...publish(whole.length), 0, topic.length, ...topic]);
  socket.write(whole);
  socket.write(Buffer.from([0xc0, 0]));
  await until(
    () =>
      Buffer.concat(said)
        .subarray(4)
        .equals(Buffer.from([0xd0, 0])),
    { what: 'PINGRESP' },
  );
  socket.write(Buffer.from(publish(LIMITS.packetBytes + 1)));
  await until(() => socket.destroyed, { what: 'the socket to be cut' });
  expect(Buffer.concat(said)).toHaveLength(6);
});

const get = (path: string, accept = 'text/html') => fetch(`${withUi.url}${path}`, { headers: { accept } });

test('the UI: its pages, its files, and headers that keep it to itself', async () => {
  for (const path of ['/', '/devices/cam-1', '/rollouts/1?x=2']) {
    const page = await get(path);
    expect([page.status, await page.text()]).toEqual([200, '<title>Fleet</title>']);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(page.headers.get('x-frame-options')).toBe('DENY');
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
    expect(page.headers.get('cache-control')).toBe('no-cache');
  }
  const asset = await get('/assets/index-1a2b.js', '*/*');
  expect(asset.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
  expect(asset.headers.get('content-type')).toContain('javascript');
  for (const [path, accept] of [
    ['/api/v1/nothing', 'text/html'],
    ['/assets/gone.js', '*/*'],
    ['/%2e%2e/data/fleet.db', '*/*'],
  ] as const) {
    const missing = await get(path, accept);
    expect([path, missing.status]).toEqual([path, 404]);
    expect(await missing.json()).toMatchObject({ code: 'request.not-found' });
  }
});
