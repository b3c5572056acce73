import { afterAll, beforeAll, expect, test } from 'vitest';
import type { NetAnswer, StopAnswer, WhyAnswer } from '../../agent/local-api/answers.ts';
import type { LocalEvent } from '../../agent/local-api/event-port.ts';
import { ownedBy } from '../../agent/supervisor/network/owned-links.ts';
import { sha256Hex } from '../../protocol/canonical.ts';
import type { DeviceEvent } from '../../protocol/messages.ts';
import type { ServiceStatus } from '../../protocol/status.ts';
import { buildAgent } from '../../scripts/build.ts';
import { TestFleet } from '../support/fleet-server.ts';
import { freePort } from '../support/free-port.ts';
import { hostAsks, networkProbes } from '../support/network-probes.ts';
import { RealDevice } from '../support/real-device.ts';
import {
  busyboxLayer,
  type Layer,
  Publisher,
  type ServiceRelease,
  serviceRelease,
  WILLING,
} from '../support/service-release.ts';
import { makeSigner } from '../support/signed-release.ts';
import { until } from '../support/until.ts';

/** One device, on which somebody stops a service by hand while all goes on around it. */
let fleet: TestFleet;
let publisher: Publisher;
let device: RealDevice;
let base: Layer;
let port: number;

beforeAll(async () => {
  await buildAgent(() => {});
  fleet = await TestFleet.start();
  publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
  base = await busyboxLayer();
  port = await freePort();
  device = await RealDevice.create(fleet, 'handled', publisher.signer.rootText);
  await device.start();
  await until(async () => (await fleet.api('GET', '/devices/handled')).body.isOnline, { what: 'the device' });
  await rollOut('1');
}, 180_000);
afterAll(async () => {
  await device?.remove();
  await fleet?.close();
}, 90_000);

const ANSWER = `trap "exit 0" TERM; while :; do echo hello | nc -l -p 8080 & wait $!; done`;
const limited = { ingressBps: 8_000_000, egressBps: 4_000_000 };

const on = (segment: string) => ({ network: 'segments', segments: { [segment]: { aliases: [] } } }) as const;
const dropped = ({ rules }: NetAnswer): number =>
  rules.counters.find(({ name }) => name === 'to_host_dropped')?.packets ?? Number.NaN;
const received = ({ seats }: NetAnswer): number =>
  seats.find((each) => each.service === 'web')?.receivedBytes ?? Number.NaN;

/** `camera` on a segment of its own; `web`, which is to start after it, on another with a published port. */
function release(version: string, { hasCamera = true } = {}): ServiceRelease {
  const camera = { layers: [base], args: [...WILLING.slice(0, 2), `: ${version}; ${WILLING[2]}`] };
  const web = { layers: [base], args: ['/bin/sh', '-c', `: ${version}; ${ANSWER}`] };
  const made = serviceRelease(version, hasCamera ? { camera, web } : { web });
  const { services } = made.manifest;
  if (services['camera']) Object.assign(services['camera'], on('back'));
  const resources = { ...services['web']?.resources, network: limited };
  const ports = [{ host: port, container: 8080, protocol: 'tcp' }];
  const dependsOn = hasCamera ? { dependsOn: { camera: 'started' } } : {};
  Object.assign(services['web'] ?? {}, on('front'), { ports, resources, ...dependsOn });
  const networks = { front: { internal: true }, ...(hasCamera && { back: { internal: true } }) };
  Object.assign(made.manifest, { networks });
  const manifestText = JSON.stringify(made.manifest);
  return { ...made, manifestText, manifestSha256: sha256Hex(manifestText) };
}

async function rollOut(version: string, parts?: { hasCamera: boolean }): Promise<void> {
  const releaseId = await publisher.publish(release(version, parts));
  const { status, body } = await fleet.api('POST', '/rollouts', { releaseId, devices: ['handled'] });
  if (status !== 201) throw new Error(JSON.stringify(body));
  await until(
    async () => {
      const { update, current } = await device.status();
      return update.phase === 'committed' && current?.version === version;
    },
    { timeoutMs: 60_000, what: `release ${version}` },
  );
}

async function json<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await device.cli(...args, '--json');
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as T;
}

const service = async (name: string): Promise<ServiceStatus | undefined> =>
  (await device.status()).services.find((each) => each.name === name);

const isIn = (name: string, state: ServiceStatus['state']): Promise<unknown> =>
  until(async () => (await service(name))?.state === state, { timeoutMs: 20_000, what: `${name} ${state}` });

const events = async (...args: string[]): Promise<LocalEvent[]> =>
  (await device.cli('events', '--json', ...args)).stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as LocalEvent);

const told = async (): Promise<DeviceEvent[]> =>
  (await fleet.api('GET', '/devices/handled/events')).body.items;

test('what is stopped by hand stays so when the agent dies, here and on the server', async () => {
  const before = await device.pids();
  const stop = ['stop', 'camera', '--for', '10m', '--why', 'cleaning the lens'];
  const stopped = await json<StopAnswer>(...stop);
  expect(stopped).toMatchObject({ result: 'held', dependants: ['web'] });
  await isIn('camera', 'stopped');
  await device.kill();
  await device.start();
  await until(async () => (await device.status()).services.length === 2, { what: 'the services' });
  await isIn('camera', 'stopped');
  const why = await json<WhyAnswer>('why', 'camera');
  expect(why).toMatchObject({ state: 'stopped', hold: { why: 'cleaning the lens' } });
  expect(why.reasons[0]).toMatchObject({
    code: 'wait.by-hand',
    message: expect.stringMatching(/^\S.* stopped it by hand until .*: cleaning the lens$/),
  });
  expect(Math.abs((why.hold?.until ?? 0) - stopped.until)).toBeLessThan(1_000);
  // What depends on it has not noticed.
  expect(await device.pids()).toMatchObject({ web: before['web'], camera: undefined });
  expect(await device.cli('restart', 'camera')).toMatchObject({
    code: 4,
    stderr: expect.stringContaining('stopped it by hand until'),
  });
  await until(async () => (await told()).some(({ code }) => code === 'stop.by-hand'), { what: 'the event' });
  await until(
    async () => {
      const { report } = (await fleet.api('GET', '/devices/handled')).body;
      const camera = report?.services.find(({ name }: ServiceStatus) => name === 'camera');
      return camera?.state === 'stopped' && camera.reason.code === 'wait.by-hand';
    },
    { timeoutMs: 40_000, what: 'the report' },
  );
});

test('a release that changes it is committed without it, and says so', async () => {
  await rollOut('2');
  const committed = (await events()).findLast(({ code }) => code === 'update.committed');
  expect(committed?.message).toMatch(/^boat 2 stayed well .*, without camera, web: stopped by hand$/);
  expect([(await service('camera'))?.state, (await service('web'))?.state]).toEqual(['stopped', 'waiting']);
  const started = await device.cli('start', 'camera', '--why', 'the lens is clean');
  expect([started.code, started.stdout]).toEqual([0, 'camera: start accepted\n']);
  await isIn('web', 'running');
  const { stdout } = await device.cli('why', 'camera');
  expect(stdout).toMatch(/started it: the lens is clean \[start\.by-hand]/);
  expect((await device.cli('start', 'camera')).stdout).toBe('camera: runs already\n');
});

test('when the time is over it starts by itself', async () => {
  await device.cli('stop', 'camera', '--for', '2s');
  await isIn('camera', 'stopped');
  await isIn('camera', 'running');
  // An agent that was killed in the middle of a stop has lost its end, and says so.
  const codes = (await events('--service', 'camera')).map(({ code }) => code);
  expect(codes.filter((code) => code !== 'exit.lost')).toEqual([
    'stop.by-hand',
    'start.by-hand',
    'stop.by-hand',
    'hold.ended',
  ]);
});

test('the networks are what the kernel says', async () => {
  const probes = networkProbes(ownedBy(device.instance));
  const before = await json<NetAnswer>('net');
  expect(before.rules.state).toBe('as-set');
  expect(before.segments.map(({ name, isUp, isInternal }) => [name, isUp, isInternal]).toSorted()).toEqual([
    ['back', true, true],
    ['front', true, true],
  ]);
  const seat = (name: string) => before.seats.find((each) => each.service === name);
  expect(seat('web')).toMatchObject({ segment: 'front', isUp: true, ...limited });
  expect(seat('web')?.address).toBe((await service('web'))?.addresses?.['front']);
  expect(before.ports).toEqual([
    { protocol: 'tcp', port, service: 'web', to: `${seat('web')?.address}:8080` },
  ]);
  expect(hostAsks('127.0.0.1', port)).toBe('hello');
  // The host's own ports are not for services.
  probes.ask('web', before.segments.find(({ name }) => name === 'front')?.gateway ?? '', 9);
  const after = await json<NetAnswer>('net');
  expect(dropped(after)).toBeGreaterThan(dropped(before));
  expect(dropped(after)).toBe(probes.counter('inet', 'to_host_dropped'));
  expect(received(after)).toBeGreaterThan(received(before));
});

test('a committed release that drops the service ends its stop by hand', async () => {
  await device.cli('stop', 'camera', '--for', '10m');
  await isIn('camera', 'stopped');
  await rollOut('3', { hasCamera: false });
  await until(async () => (await events('-n', '3')).some(({ code }) => code === 'hold.ended'), {
    timeoutMs: 20_000,
    what: 'the end of the stop',
  });
  expect((await events()).at(-1)?.message).toMatch(/^The release does not hold it any more/);
});
