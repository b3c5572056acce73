import { statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ChannelStatus } from '../../protocol/channel-status.ts';
import { channelBudgetBytes } from '../../protocol/channels.ts';
import type { DeviceEvent } from '../../protocol/messages.ts';
import { buildAgent } from '../../scripts/build.ts';
import { channelImage } from '../support/channel-image.ts';
import { TestFleet } from '../support/fleet-server.ts';
import { RealDevice } from '../support/real-device.ts';
import { Publisher, serviceRelease, withChannels } from '../support/service-release.ts';
import { makeSigner } from '../support/signed-release.ts';
import { until } from '../support/until.ts';

/** What the fleet server tells of the channels of a release and of a device whose detector stands still. */
const CHANNELS = {
  frames: {
    publishers: ['camera'],
    subscribers: ['detector', 'recorder'],
    slotSizeBytes: 256,
    depth: 4,
    mode: 'reliable' as const,
  },
};
const PUBLISH = 'trap "exit 0" TERM; while :; do echo frame | wherry-ipc pub frames; sleep 0.1; done';
const STAND_STILL = 'wherry-ipc sub frames --count 2 > /dev/null; exec sleep 100000';
const READ = 'exec wherry-ipc sub frames > /dev/null';

let dir: string;
let fleet: TestFleet;
let device: RealDevice;
let releaseId: string;

beforeAll(async () => {
  await buildAgent(() => {});
  dir = await mkdtemp(join(tmpdir(), 'wherry-channel-health-'));
  const image = await channelImage(dir);
  const path = join(image.blobDir, `${image.verity}.erofs`);
  const layer = { path, verity: image.verity, size: statSync(path).size };
  fleet = await TestFleet.start();
  const publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
  device = await RealDevice.create(fleet, 'watched', publisher.signer.rootText);
  await device.start();
  const service = (script: string) => ({ layers: [layer], args: ['/bin/sh', '-c', script], graceMs: 500 });
  const services = { camera: service(PUBLISH), detector: service(STAND_STILL), recorder: service(READ) };
  releaseId = await publisher.publish(withChannels(serviceRelease('1', services), CHANNELS));
  await until(async () => (await shown())?.isOnline, { what: 'the device to connect' });
}, 180_000);

afterAll(async () => {
  await device?.remove();
  await fleet?.close();
  if (dir) await rm(dir, { recursive: true, force: true });
}, 90_000);

const shown = async () => (await fleet.api('GET', `/devices/${device.id}`)).body;
const channel = async (): Promise<ChannelStatus | undefined> => (await shown()).report?.channels?.[0];
const events = async (): Promise<DeviceEvent[]> =>
  (await fleet.api('GET', `/devices/${device.id}/events`)).body.items;

test('a release shows the channels that it declares, with what they cost a device', async () => {
  const { body } = await fleet.api('GET', `/releases/${releaseId}`);
  const memoryBytes = channelBudgetBytes(CHANNELS.frames);
  expect(body.channels).toEqual([{ name: 'frames', ...CHANNELS.frames, memoryBytes }]);
});

test('a device shows who publishes and who takes, and who was evicted; watchers and history are told', async () => {
  const stream = await fleet.watch();
  await fleet.api('POST', '/rollouts', { releaseId, devices: [device.id] });
  await until(async () => (await channel())?.subscribers[0]?.isEvicted, {
    timeoutMs: 60_000,
    what: `the eviction of the detector; the agent says ${device.log.slice(-800)}`,
  });
  const told = await until(
    async () => {
      const now = await channel();
      return (now?.publishers[0]?.messagesPerSecond ?? 0) > 0 && now;
    },
    { timeoutMs: 30_000, what: 'a rate' },
  );
  expect(told).toMatchObject({
    name: 'frames',
    mode: 'reliable',
    slotSizeBytes: 256,
    depth: 4,
    budgetBytes: channelBudgetBytes(CHANNELS.frames),
    publishers: [{ service: 'camera', isUp: true }],
    subscribers: [
      { service: 'detector', isUp: true, isEvicted: true, evictions: 1, received: 2 },
      { service: 'recorder', isUp: true, isEvicted: false, evictions: 0, torn: 0 },
    ],
  });
  expect(told.publishers[0]?.blocked).toBeGreaterThan(0);
  expect(told.subscribers[1]?.received).toBeGreaterThan(4);
  await until(async () => (await events()).some(({ code }) => code === 'channel.evicted'), {
    what: 'the event',
  });
  const evictions = (await events()).filter(({ code }) => code === 'channel.evicted');
  expect(evictions).toMatchObject([
    { kind: 'service', service: 'detector', message: expect.stringMatching(/^Channel "frames": detector /) },
  ]);
  await until(() => /event: device-report\n.*"isEvicted":true/.test(stream.text), { what: 'the stream' });
  stream.stop();
});

test('the API describes both', async () => {
  const { paths } = (await fleet.api('GET', '/openapi.json')).body;
  const bodyOf = (path: string) => JSON.stringify(paths[path].get.responses['200'].content);
  expect(bodyOf('/api/v1/releases/{id}')).toContain('"memoryBytes"');
  expect(bodyOf('/api/v1/devices/{id}')).toContain('"isEvicted"');
});
