import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BUNDLE_FILE, type Bundle } from '../../protocol/bundle.ts';
import { sha256Hex } from '../../protocol/canonical.ts';
import { runReleaseCommand } from '../../release/cli.ts';
import { buildAgent } from '../../scripts/build.ts';
import { TestFleet } from '../support/fleet-server.ts';
import { RealDevice } from '../support/real-device.ts';
import { busyboxLayer, type Layer, Publisher, serviceRelease } from '../support/service-release.ts';
import { makeSigner } from '../support/signed-release.ts';
import { TestRepository } from '../support/test-repository.ts';
import { until } from '../support/until.ts';

/** One device that nobody enrolled: it has the signer's root in its configuration, and is fed from sticks. */
let fleet: TestFleet;
let publisher: Publisher;
let device: RealDevice;
let base: Layer;
let joinString: unknown;

beforeAll(async () => {
  await buildAgent(() => {});
  fleet = await TestFleet.start();
  publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
  base = await busyboxLayer();
  device = await RealDevice.create(fleet, 'alone', publisher.signer.rootText);
  joinString = configure((config) => {
    const { join: given, ...rest } = config;
    return [rest, given];
  });
  await device.start();
}, 180_000);
afterAll(async () => {
  await device?.remove();
  await fleet?.close();
}, 90_000);

/** Changes agent.json; the second of what `change` returns. */
function configure<T>(change: (config: Record<string, unknown>) => [object, T]): T {
  const file = join(device.dir, 'agent.json');
  const [next, told] = change(JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>);
  writeFileSync(file, JSON.stringify(next));
  return told;
}

const publish = (version: string): Promise<string> =>
  publisher.publish(serviceRelease(version, { web: { layers: [base] } }, { soakMs: 300 }));

/** A stick with the release, as the signer's tool writes it. */
async function stickOf(version: string): Promise<string> {
  await publish(version);
  const { token } = (await fleet.api('POST', '/api-tokens', { note: 'signer' })).body;
  const stick = join(device.dir, `stick-${version}`);
  const said: string[] = [];
  const sink = new Writable({ write: (data, _encoding, done) => (said.push(String(data)), done()) });
  const env = { WHERRY_SERVER: fleet.server.url, WHERRY_TOKEN: token };
  const code = await runReleaseCommand(['release', 'export', 'boat', version, '--to', stick], {
    stdout: sink,
    stderr: sink,
    env,
  });
  if (code !== 0) throw new Error(said.join(''));
  return stick;
}

/** A stick of somebody else's repository. */
async function strangersStick(): Promise<string> {
  const stranger = new TestRepository();
  const { name, version, manifest } = stranger.publish('9.0.0', [await stranger.layer(10_000)]);
  const stick = join(device.dir, 'stick-of-a-stranger');
  mkdirSync(stick);
  const bundle: Bundle = { v: 1, release: { name, version, manifest }, madeAt: 1, expiresAt: 2 };
  writeFileSync(join(stick, BUNDLE_FILE), JSON.stringify(bundle));
  for (const [object, content] of stranger.objects) writeFileSync(join(stick, object), content);
  return stick;
}

test('without a root of trust nothing is taken, and the device says what it wants', async () => {
  const [root, away] = [join(device.dir, 'factory-root.json'), join(device.dir, 'away')];
  renameSync(root, away);
  const said = await device.cli('update', 'apply', await stickOf('1'));
  renameSync(away, root);
  expect([said.code, said.stderr]).toEqual([4, expect.stringContaining(`no root of trust: ${root}`)]);
  expect((await device.status()).update.phase).toBe('idle');
});

test('a stick of somebody else is refused', async () => {
  await device.cli('update', 'apply', await strangersStick());
  const { update, services } = await device.phase('refused');
  expect([update.reason?.code, services]).toEqual(['refused.metadata-signature', []]);
});

test('it takes a release of its signer from a stick, and names the root by which it tells', async () => {
  const said = await device.cli('update', 'apply', join(device.dir, 'stick-1'));
  expect([said.code, said.stderr]).toEqual([
    0,
    expect.stringContaining(`root 1 signed it, sha256 ${sha256Hex(publisher.signer.rootText)}`),
  ]);
  const status = await device.phase('committed', 30_000);
  expect(status).toMatchObject({
    link: { state: 'not-enrolled' },
    current: { version: '1', generation: 0 },
    services: [{ name: 'web', state: 'running' }],
  });
});

test('it takes the next one, goes on with it after a crash, and goes back by hand', async () => {
  await device.cli('update', 'apply', await stickOf('2'));
  await until(async () => (await device.status()).update.phase !== 'committed', { what: 'the update' });
  await device.phase('committed', 30_000);
  const pids = await device.pids();
  await device.kill();
  await device.start();
  await until(async () => (await device.status()).services.length === 1, { what: 'the service' });
  expect(await device.pids()).toEqual(pids);
  expect((await device.cli('update', 'rollback')).code).toBe(0);
  expect((await device.phase('rolled_back', 30_000)).current?.version).toBe('1');
});

test('once it is enrolled the server takes over', async () => {
  const { id } = device;
  await device.kill();
  configure((config) => [{ ...config, join: joinString }, undefined]);
  await device.start();
  await until(async () => (await fleet.api('GET', `/devices/${id}`)).body?.isOnline, {
    timeoutMs: 30_000,
    what: 'the device to enrol',
  });
  const releaseId = await publish('3');
  expect((await fleet.api('POST', '/rollouts', { releaseId, devices: [id] })).status).toBe(201);
  await until(async () => (await device.status()).current?.version === '3', {
    timeoutMs: 60_000,
    what: 'release 3',
  });
  expect((await device.phase('committed')).current?.generation).toBe(1);
});
