import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sha256Hex } from '../../protocol/canonical.ts';
import { buildAgent } from '../../scripts/build.ts';
import { ASK, answersIn, healthOfWeb, serve } from '../support/asked-service.ts';
import { TestFleet } from '../support/fleet-server.ts';
import { RealDevice } from '../support/real-device.ts';
import {
  busyboxLayer,
  type Layer,
  Publisher,
  type ServiceRelease,
  serviceRelease,
} from '../support/service-release.ts';
import { makeSigner } from '../support/signed-release.ts';
import { until } from '../support/until.ts';

/** A service that starts its new version first, asked all the time while the server rolls out one release after another. */
let fleet: TestFleet;
let publisher: Publisher;
let device: RealDevice;
let base: Layer;

beforeAll(async () => {
  await buildAgent(() => {});
  fleet = await TestFleet.start();
  publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
  base = await busyboxLayer();
  device = await RealDevice.create(fleet, 'asked', publisher.signer.rootText);
  await device.start();
  await until(async () => (await fleet.api('GET', '/devices/asked')).body.isOnline, { what: 'the device' });
  await isCome(await rollOut('1'), 'committed');
  await until(async () => (await answers()).at(-1) === 'v1', { what: 'the first answer' });
}, 180_000);
afterAll(async () => {
  await device?.remove();
  await fleet?.close();
}, 90_000);

const answers = async (): Promise<string[]> => answersIn((await device.cli('logs', 'client')).stdout, 'v1');

function release(version: string, looksFor: string): ServiceRelease {
  const made = serviceRelease(version, {
    client: { layers: [base], args: ['/bin/sh', '-c', ASK] },
    web: {
      layers: [base],
      args: ['/bin/sh', '-c', serve(`v${version}`)],
      graceMs: 200,
      restart: { maxAttempts: 2 },
      update: { strategy: 'start-then-stop' },
    },
  });
  const { client, web } = made.manifest.services;
  const onFront = { network: 'segments', segments: { front: { aliases: [] } } } as const;
  Object.assign(client ?? {}, onFront);
  Object.assign(web ?? {}, onFront, { health: healthOfWeb(looksFor) });
  Object.assign(made.manifest, { networks: { front: { internal: true } } });
  const manifestText = JSON.stringify(made.manifest);
  return { ...made, manifestText, manifestSha256: sha256Hex(manifestText) };
}

/** `looksFor`: what its health check asks for. Resolves with the rollout's id. */
async function rollOut(version: string, looksFor = 'v'): Promise<string> {
  const releaseId = await publisher.publish(release(version, looksFor));
  const { status, body } = await fleet.api('POST', '/rollouts', { releaseId, devices: ['asked'] });
  if (status !== 201) throw new Error(JSON.stringify(body));
  return body.id;
}

async function isCome(rollout: string, state: string): Promise<void> {
  const attempt = async () => (await fleet.api('GET', `/rollouts/${rollout}`)).body.attempts[0];
  await until(async () => (await attempt()).state === state, { timeoutMs: 90_000, what: state }).catch(
    async (error: Error) => {
      const seen = JSON.stringify(await attempt());
      throw new Error(
        `${error.message}; it is ${seen}; ${(await answers()).join()}\n${device.log.slice(-2_000)}`,
      );
    },
  );
}

const bothAreThere = (): boolean =>
  ['web', 'web.2'].every((name) => existsSync(join(device.dir, 'run/services', name)));

test('a rollout of its next version fails no request, and the one who asks runs on', async () => {
  const before = await device.pids();
  const rollout = await rollOut('2');
  await until(bothAreThere, { timeoutMs: 30_000, what: 'both versions' });
  await isCome(rollout, 'committed');
  await until(async () => (await answers()).at(-1) === 'v2', { what: 'an answer of the new one' });
  expect(await answers()).toEqual(['v1', 'v2']);
  const after = await device.pids();
  expect([after['client'], after['web']]).toEqual([before['client'], expect.any(Number)]);
  expect(after['web']).not.toBe(before['web']);
  const { stdout } = await device.cli('why', 'web');
  expect(stdout).toContain('stop.replaced');
});

test('an agent that is killed while both run fails no request either, and the server sees the rollout through', async () => {
  const before = await device.pids();
  const rollout = await rollOut('3');
  await until(bothAreThere, { timeoutMs: 30_000, what: 'both versions' });
  await device.kill();
  await device.start();
  await isCome(rollout, 'committed');
  await until(async () => (await answers()).at(-1) === 'v3', { what: 'an answer of the new one' });
  expect(await answers()).not.toContain('FAILED');
  expect((await device.pids())['client']).toBe(before['client']);
});

test('a version that is never well is rolled back by the device, and the one before has answered all the time', async () => {
  const before = await device.pids();
  const rollout = await rollOut('4', 'missing');
  await isCome(rollout, 'rolled_back');
  const told = await answers();
  expect([told.at(-1), told.includes('FAILED'), told.includes('v4')]).toEqual(['v3', false, false]);
  expect(await device.pids()).toEqual(before);
});
