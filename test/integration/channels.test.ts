import { statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ChannelsAnswer } from '../../agent/local-api/answers.ts';
import { sha256Hex } from '../../protocol/canonical.ts';
import type { ChannelStatus } from '../../protocol/channel-status.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { buildAgent } from '../../scripts/build.ts';
import { channelImage } from '../support/channel-image.ts';
import { TestFleet } from '../support/fleet-server.ts';
import { RealDevice } from '../support/real-device.ts';
import { type Layer, Publisher, type ServiceRelease, serviceRelease } from '../support/service-release.ts';
import { makeSigner } from '../support/signed-release.ts';
import { until } from '../support/until.ts';

/** A camera that publishes and a detector that reads, in a signed release on a real agent under a real server. */
let dir: string;
let fleet: TestFleet;
let publisher: Publisher;
let device: RealDevice;
let layer: Layer;

const DEVICE = 'sees';
const PUBLISH = 'trap "exit 0" TERM; while :; do echo frame | wherry-ipc pub frames; sleep 0.1; done';
const READ = 'exec wherry-ipc sub frames > /dev/null';

beforeAll(async () => {
  await buildAgent(() => {});
  dir = await mkdtemp(join(tmpdir(), 'wherry-frames-'));
  const image = await channelImage(dir);
  const path = join(image.blobDir, `${image.verity}.erofs`);
  layer = { path, verity: image.verity, size: statSync(path).size };
  fleet = await TestFleet.start();
  publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
  device = await RealDevice.create(fleet, DEVICE, publisher.signer.rootText);
  await device.start();
  await until(async () => (await fleet.api('GET', `/devices/${DEVICE}`)).body.isOnline, {
    what: 'the device',
  });
  await rollOut('1', 8);
}, 180_000);

afterAll(async () => {
  await device?.remove();
  await fleet?.close();
  if (dir) await rm(dir, { recursive: true, force: true });
}, 90_000);

const parts = (script: string) => ({ layers: [layer], args: ['/bin/sh', '-c', script], graceMs: 500 });

function release(version: string, depth: number): ServiceRelease {
  const made = serviceRelease(version, { camera: parts(PUBLISH), detector: parts(READ) });
  const frames = {
    publishers: ['camera'],
    subscribers: ['detector'],
    slotSizeBytes: 4096,
    depth,
    mode: 'lossy' as const,
  };
  const manifest: Manifest = { ...made.manifest, channels: { frames } };
  const manifestText = JSON.stringify(manifest);
  return { ...made, manifest, manifestText, manifestSha256: sha256Hex(manifestText) };
}

async function rollOut(version: string, depth: number): Promise<void> {
  const releaseId = await publisher.publish(release(version, depth));
  const { status, body } = await fleet.api('POST', '/rollouts', { releaseId, devices: [DEVICE] });
  if (status !== 201) throw new Error(JSON.stringify(body));
  await until(
    async () => (await fleet.api('GET', `/rollouts/${body.id}`)).body.attempts[0].state === 'committed',
    { timeoutMs: 60_000, what: `release ${version} to be committed: ${device.log.slice(-800)}` },
  );
}

const shown = async (): Promise<ChannelStatus> => {
  const { stdout } = await device.cli('ipc', 'ls', '--json');
  const [frames] = (JSON.parse(stdout) as ChannelsAnswer).channels;
  if (frames === undefined) throw new Error(`The device has no channel: ${stdout}`);
  return frames;
};
/** What both ends have counted, at least. */
const moved = ({ publishers, subscribers }: ChannelStatus): number =>
  Math.min(publishers[0]?.messages ?? 0, subscribers[0]?.received ?? 0);
const movesOn = async (from = 0): Promise<ChannelStatus> =>
  until(
    async () => {
      const now = await shown();
      return moved(now) > from + 3 && now;
    },
    { timeoutMs: 20_000, what: 'messages' },
  );

const reported = async (): Promise<ChannelStatus[] | undefined> =>
  (await fleet.api('GET', `/devices/${DEVICE}`)).body.report.channels;

test('messages go from service to service, and device and server tell of them', async () => {
  const frames = await movesOn();
  expect(frames).toMatchObject({ name: 'frames', depth: 8, mode: 'lossy' });
  await until(async () => ((await reported())?.[0]?.publishers[0]?.messages ?? 0) > 0, {
    timeoutMs: 30_000,
    what: 'the report',
  });
  expect((await device.cli('inspect', 'camera')).stdout).toContain('publishes to frames, 8 x 4 KiB lossy');
  expect((await device.cli('ipc', 'top', '--count', '1', '--interval', '500ms')).stdout).toMatch(
    /frames +camera +publishes +\d+ +[1-9]/,
  );
  expect((await device.cli('ipc', 'tap', 'frames', '--count', '2')).stdout).toMatch(
    /camera #\d+, 5 B: frame\n.*camera #\d+, 5 B: frame\n/,
  );
});

test('they go on while the agent is dead, and the next one takes the channel over', async () => {
  const before = await movesOn();
  await device.kill();
  await device.start();
  const after = await movesOn(moved(before));
  expect(after.since).toBe(before.since);
  expect(after.publishers[0]?.starts).toBe(1);
  expect(after.subscribers[0]).toMatchObject({ overruns: 0, torn: 0 });
});

test('a publisher and a subscriber that are killed outright go on where they were', async () => {
  const before = await movesOn();
  const pids = await device.pids();
  for (const name of ['camera', 'detector']) process.kill(pids[name] ?? 0, 'SIGKILL');
  await until(async () => (await shown()).publishers[0]?.starts === 2, { what: 'the camera to start again' });
  const after = await movesOn(moved(before));
  expect(after.since).toBe(before.since);
  expect(after.subscribers[0]?.torn).toBe(0);
});

test('a release that changes it begins a new one, and the old one is gone', async () => {
  const before = await movesOn();
  await rollOut('2', 16);
  const after = await movesOn();
  expect(after).toMatchObject({ depth: 16, publishers: [{ starts: 1 }] });
  expect(after.since).toBeGreaterThan(before.since);
  expect(moved(after)).toBeLessThan(moved(before) + 1_000);
});
