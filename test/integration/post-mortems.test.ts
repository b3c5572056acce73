import { afterAll, beforeAll, expect, test } from 'vitest';
import { agentClient } from '../../agent/cli/client.ts';
import type { PostMortem, PostMortemSummary } from '../../protocol/post-mortem.ts';
import { buildAgent } from '../../scripts/build.ts';
import { TestFleet } from '../support/fleet-server.ts';
import { RealDevice } from '../support/real-device.ts';
import { busyboxLayer, type Layer, Publisher, serviceRelease } from '../support/service-release.ts';
import { makeSigner } from '../support/signed-release.ts';
import { TcpTap } from '../support/tcp-tap.ts';
import { until } from '../support/until.ts';

const script = (text: string): string[] => ['/bin/sh', '-c', text];
const EATS_MEMORY = 'echo about to eat; sleep 0.5; x=$(seq 1 9999999); sleep 1000';

let fleet: TestFleet;
let publisher: Publisher;
let device: RealDevice;
let base: Layer;

beforeAll(async () => {
  await buildAgent(() => {});
  fleet = await TestFleet.start();
  publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
  base = await busyboxLayer();
  device = await RealDevice.create(fleet, 'mourner', publisher.signer.rootText);
}, 120_000);

afterAll(async () => {
  await device?.remove();
  await fleet?.close();
}, 60_000);

const kept = (): Promise<PostMortemSummary[]> =>
  agentClient(device.socket, AbortSignal.timeout(10_000))
    .postmortems()
    .then(({ postmortems }) => postmortems);
const onServer = async (): Promise<PostMortemSummary[]> =>
  (await fleet.api('GET', `/devices/${device.id}/postmortems`)).body.items;

async function rollOut(version: string, services: Parameters<typeof serviceRelease>[1], soakMs = 500) {
  const releaseId = await publisher.publish(serviceRelease(version, services, { soakMs }));
  await fleet.api('POST', '/rollouts', { releaseId, devices: [device.id] });
}

test('a service killed for want of memory is told by the device and by the server, once each', async () => {
  await device.start();
  await until(async () => (await fleet.api('GET', `/devices/${device.id}`)).body.isOnline, {
    what: 'the device to enrol and connect',
  });
  const stream = await fleet.watch();
  const restart = { maxAttempts: 2, whenExhausted: 'stay-failed' as const };
  await rollOut('1', {
    keeper: { layers: [base] },
    hog: { layers: [base], args: script(EATS_MEMORY), restart },
  });
  await until(async () => (await kept()).filter(({ kind }) => kind === 'oom').length === 2, {
    timeoutMs: 40_000,
    what: 'two post-mortems of the hog',
  });
  const [last] = await kept();
  expect(last).toMatchObject({ service: 'hog', oomKilled: { command: 'sh' }, exit: { signal: 9 } });
  expect(last?.message).toMatch(/^Ran out of its memory budget .*; the kernel killed sh, pid \d+$/);
  const listed = await device.cli('postmortem', 'list');
  expect(listed.stdout).toContain('the kernel killed sh');

  await until(async () => (await onServer()).length === 2, { timeoutMs: 30_000, what: 'both on the server' });
  expect(await onServer()).toEqual(await kept());
  await until(() => stream.text.includes('event: post-mortem\n'), { what: 'watchers to be told' });
  stream.stop();
  const whole: PostMortem = (await fleet.api('GET', `/devices/${device.id}/postmortems/${last?.id}`)).body;
  expect(whole).toMatchObject({ kind: 'oom', budget: { memoryMaxBytes: 16 * 1024 ** 2 } });
  expect(whole.log.map(({ text }) => text)).toContain('about to eat');
  const unknown = await fleet.api('GET', `/devices/${device.id}/postmortems/000000000000-hog`);
  expect(unknown).toMatchObject({ status: 404, body: { code: 'post-mortem.unknown' } });
}, 120_000);

test('a rollback while the link is down is told once it is up again, after a crash of the agent', async () => {
  const before = (await onServer()).length;
  const tap = await TcpTap.to(fleet.server.ports.mqtt);
  try {
    await device.kill();
    device.connectVia(tap.port);
    await device.start();
    const restart = { maxAttempts: 1 };
    await rollOut('2', {
      keeper: { layers: [base] },
      web: { layers: [base], args: script('exit 3'), restart },
    });
    await until(async () => (await kept()).some(({ kind }) => kind === 'rollback'), {
      timeoutMs: 60_000,
      what: 'a post-mortem of the rollback',
    });
  } finally {
    await tap.close();
  }
  expect((await onServer()).some(({ kind }) => kind === 'rollback')).toBe(false);
  const rollback = (await kept()).find(({ kind }) => kind === 'rollback');
  expect(rollback).toMatchObject({ service: 'web', release: expect.stringMatching(/ 2$/) });
  await device.kill();
  device.connectVia(fleet.server.ports.mqtt);
  await device.start();
  await until(async () => (await onServer()).some(({ id }) => id === rollback?.id), {
    timeoutMs: 60_000,
    what: 'the rollback on the server',
  });
  const ids = (await onServer()).map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.length).toBeGreaterThan(before);
}, 180_000);
