import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HttpSource } from '../../agent/update/sources/http-source.ts';
import { openAssignment } from '../../protocol/assignment.ts';
import { openTime } from '../../protocol/signed-time.ts';
import { upTopic } from '../../protocol/topics.ts';
import { TestFleet } from '../support/fleet-server.ts';
import { buildRelease, makeSigner, signRelease } from '../support/signed-release.ts';

let fleet: TestFleet;
let release: Awaited<ReturnType<typeof buildRelease>>;
let releaseId: string;
const { signal } = new AbortController();

beforeAll(async () => {
  fleet = await TestFleet.start();
  release = await buildRelease('1.0.0', { blobBytes: 200_000 });
  await fleet.api('PUT', `/objects/${release.blobName}`, release.blob);
  await fleet.api('PUT', `/objects/manifest-${release.manifestSha256}`, Buffer.from(release.manifestText));
  const signer = makeSigner((await fleet.api('GET', '/repository')).body);
  releaseId = (await fleet.api('POST', '/releases', signRelease(signer, release, 1))).body.id;
});
afterAll(() => fleet.close());

const objectsFor = (tls: { ca: string; key: string; cert: string }) =>
  new HttpSource({ base: `https://localhost:${fleet.server.ports.device}/objects`, tls });

test('a device that is enrolled reads objects over HTTPS with its certificate', async () => {
  const { identity, key } = await fleet.device('https-1');
  const source = objectsFor({ ca: identity.ca, key, cert: identity.certificate });
  const got: Buffer[] = [];
  await source.fetch(release.blobName, [0, 1, 2, 3], async (index, part) => void (got[index] = part), signal);
  expect(Buffer.concat(got).equals(release.blob)).toBe(true);
  expect((await source.read('timestamp', 16_384, signal)).toString()).toContain('"timestamp"');
});

test('a stranger, with no certificate or one that the server did not sign, reads nothing', async () => {
  const { identity } = await fleet.device('https-2');
  const bare = new HttpSource({
    base: `https://localhost:${fleet.server.ports.device}/objects`,
    tls: { ca: identity.ca } as { ca: string; key: string; cert: string },
  });
  await expect(bare.read('timestamp', 16_384, signal)).rejects.toThrow('answered 401');
  const elsewhere = await TestFleet.start();
  try {
    const stranger = await elsewhere.device('https-2');
    const shown = { key: stranger.key, cert: stranger.identity.certificate };
    await expect(objectsFor({ ca: identity.ca, ...shown }).read('timestamp', 16_384, signal)).rejects.toThrow(
      'answered 401',
    );
  } finally {
    await elsewhere.close();
  }
});

test('a device whose fleet key was replaced twice follows it, and a signed time is by the new one', async () => {
  const device = await fleet.device('keys-1');
  const control = await device.connect('control');
  const { fleetKey } = device.identity;
  await fleet.api('POST', '/rollouts', { releaseId, devices: [device.id] });
  const before = openAssignment(JSON.parse((await device.next('desired')).toString()), fleetKey);
  expect(before).toMatchObject({ ok: true, fleetKey });
  for (let turn = 0; turn < 2; turn++)
    expect((await fleet.api('POST', '/fleet-key/rotations')).status).toBe(204);
  device.received.length = 0;
  await device.hello(control);
  const after = openAssignment(JSON.parse((await device.next('desired')).toString()), fleetKey);
  if (!after.ok) throw new Error(after.message);
  expect(after.fleetKey).not.toBe(fleetKey);
  const late = await fleet.device('keys-2');
  expect(late.identity.fleetKey).toBe(after.fleetKey);
  const nonce = randomBytes(16).toString('hex');
  await control.publishAsync(upTopic('default', device.id, 'time'), JSON.stringify({ v: 1, nonce }), {
    qos: 1,
  });
  const answer = JSON.parse((await device.next('time')).toString());
  const asked = { device: device.id, nonce };
  expect(Math.abs((openTime(answer, asked, after.fleetKey) ?? 0) - Date.now())).toBeLessThan(60_000);
  expect(openTime(answer, asked, fleetKey)).toBeUndefined();
  await control.endAsync();
});

test('the new fleet key outlives a restart of the server', async () => {
  const device = await fleet.device('keys-3');
  await fleet.server.close();
  await fleet.open();
  expect((await fleet.device('keys-4')).identity.fleetKey).toBe(device.identity.fleetKey);
});
