import fc from 'fast-check';
import { expect, test } from 'vitest';
import { admit } from './admission.ts';
import type { Board } from './board.ts';
import {
  type ChannelDefinition,
  channelBudgetBytes,
  channelFaults,
  channelFileBytes,
  channelTmpfsBytes,
  isSameChannel,
  ringBytes,
  strideOf,
} from './channels.ts';
import { checkManifest, type Manifest } from './manifest.ts';

const MIB = 1024 ** 2;
const frames: ChannelDefinition = {
  publishers: ['camera'],
  subscribers: ['detector', 'recorder'],
  slotSizeBytes: MIB,
  depth: 8,
  mode: 'lossy',
};
const services = { camera: {}, detector: {}, recorder: {} };
const faults = (change: Partial<ChannelDefinition>, among: Parameters<typeof channelFaults>[1] = services) =>
  channelFaults({ frames: { ...frames, ...change } }, among);

test('a ring is its header and its slots, each with a header and whole lines', () => {
  expect(strideOf(1)).toBe(128);
  expect(strideOf(64)).toBe(128);
  expect(strideOf(65)).toBe(192);
  expect(ringBytes(frames)).toBe(256 + 8 * (64 + MIB));
});

test('its files are meta, a ring for each publisher and an ack for each subscriber, in whole pages', () => {
  const two = { ...frames, publishers: ['camera', 'second'] };
  expect(channelFileBytes(two)).toEqual([8192, ringBytes(two), ringBytes(two), 256, 256]);
  const small = { ...frames, slotSizeBytes: 64, depth: 2 };
  expect(channelTmpfsBytes(small, 4096)).toBe(8192 + 4096 + 2 * 4096);
  expect(channelTmpfsBytes(small, 16384)).toBe(4 * 16384);
});

const definition = fc.record({
  publishers: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 }),
  subscribers: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 }),
  slotSizeBytes: fc.integer({ min: 1, max: MIB }),
  depth: fc.integer({ min: 1, max: 7 }).map((power) => 2 ** power),
  mode: fc.constantFrom('lossy' as const, 'latest' as const, 'reliable' as const),
});

test('the budget holds the filesystem on each page size, with less than two parts in a hundred beyond', () => {
  fc.assert(
    fc.property(definition, (channel) => {
      const budget = channelBudgetBytes(channel);
      const largest = channelTmpfsBytes(channel, 16384);
      expect(budget).toBeGreaterThan(Math.max(largest, channelTmpfsBytes(channel, 4096)));
      expect(budget).toBeLessThan(largest * 1.02 + 64 * 1024);
      expect(budget % 4096).toBe(0);
    }),
  );
});

test.each([
  [
    { publishers: ['camra'] },
    'channels.frames.publishers: no service is called "camra"; did you mean "camera"?',
  ],
  [{ subscribers: ['x'] }, 'channels.frames.subscribers: no service is called "x"'],
  [{ publishers: [] }, 'channels.frames.publishers is empty; name a service, or remove the channel'],
  [{ subscribers: [] }, 'channels.frames.subscribers is empty; name a service, or remove the channel'],
  [{ publishers: ['camera', 'camera'] }, 'channels.frames.publishers names "camera" again'],
  [{ depth: 12 }, 'channels.frames.depth is 12; wanted a power of two from 2 to 65536, such as 16'],
  [{ depth: 1 }, 'such as 2'],
  [{ depth: 131_072 }, 'such as 65536'],
  [{ slotSizeBytes: 16 * MIB + 1 }, 'channels.frames.slotSize is 16777217 bytes; wanted 1B to 16MiB'],
  [{ slotSizeBytes: 0 }, 'wanted 1B to 16MiB'],
  [{ slotSizeBytes: 16 * MIB, depth: 16 }, 'wanted at most 256 MiB: choose a smaller slotSize or depth'],
] as const)('%j is refused with its path and what to do', (change, message) => {
  expect(faults(change as Partial<ChannelDefinition>)).toEqual([expect.stringContaining(message)]);
});

test('a sound channel has no fault, also at its bounds', () => {
  expect(faults({})).toEqual([]);
  expect(faults({ slotSizeBytes: 16 * MIB, depth: 8 })).toEqual([]);
  expect(faults({ slotSizeBytes: 1, depth: 65_536 })).toEqual([]);
});

test('a service that starts before it stops may be on none', () => {
  const twice = { ...services, camera: { update: { strategy: 'start-then-stop' } } };
  expect(faults({}, twice)).toEqual([
    expect.stringContaining('services.camera.update.strategy is start-then-stop'),
  ]);
});

const board: Board = {
  name: 'small',
  title: 'Small',
  platform: 'linux/arm64',
  memory: '256MiB',
  cpus: 1,
  reserve: { system: '64MiB', agent: '64MiB' },
};
const release = (channels?: Manifest['channels']) =>
  ({ services: {}, volumes: {}, channels }) as unknown as Manifest;

test('a channel counts twice where what a device runs is not known', () => {
  const { rows } = admit(release({ frames }), board);
  const budget = channelBudgetBytes(frames);
  expect(rows.filter(({ who }) => who.startsWith('channel'))).toMatchObject([
    { who: 'channel frames', memoryBytes: budget },
    { who: 'channel frames, the old one during an update', memoryBytes: budget },
  ]);
});

test('a device counts the channels that it has to keep until the last service has switched', () => {
  const wanted = (old: Manifest['channels']) =>
    admit(release({ frames }), board, release(old)).memory.wantedBytes;
  const reserve = 128 * MIB;
  const budget = channelBudgetBytes(frames);
  const deeper = { ...frames, depth: 16 };
  expect(wanted(undefined)).toBe(reserve + budget);
  expect(wanted({ frames: { ...frames } })).toBe(reserve + budget);
  expect(wanted({ frames: deeper })).toBe(reserve + budget + channelBudgetBytes(deeper));
  expect(wanted({ other: frames })).toBe(reserve + 2 * budget);
});

test('a channel is the same only when nothing of it differs', () => {
  expect(isSameChannel(frames, { ...frames })).toBe(true);
  for (const change of [
    { publishers: ['recorder'] },
    { subscribers: ['detector'] },
    { slotSizeBytes: 1 },
    { depth: 16 },
    { mode: 'latest' as const },
  ])
    expect(isSameChannel(frames, { ...frames, ...change })).toBe(false);
  expect(isSameChannel(frames, undefined)).toBe(false);
});

test('a manifest with a channel that a build would refuse is refused whole', () => {
  const service = {
    images: {
      'linux/amd64': {
        manifestDigest: '0'.repeat(64),
        layers: [{ verity: '0'.repeat(64), size: 4096, diffId: '0'.repeat(64) }],
        args: ['/x'],
        environment: {},
        workingDir: '/',
        uid: 1,
        gid: 1,
      },
    },
    resources: { memoryMaxBytes: MIB, cpuMax: 1, pidsMax: 1 },
    restart: { policy: 'always', backoffInitialMs: 100, backoffMaxMs: 100, maxAttempts: 0, resetAfterMs: 0 },
    stop: { signal: 'SIGTERM', graceMs: 0 },
    network: 'none',
    security: { readOnlyRoot: true, capabilities: [] },
    mounts: [],
  };
  const manifest = (channel: object) => ({
    v: 1,
    name: 'demo',
    version: '1',
    boards: ['small'],
    services: { camera: service, detector: service },
    volumes: {},
    channels: { frames: { ...frames, subscribers: ['detector'], ...channel } },
    policy: { soakMs: 0 },
  });
  expect(checkManifest(manifest({}))).toMatchObject({ ok: true });
  for (const [channel, fault] of [
    [{ publishers: ['nobody'] }, 'no service is called "nobody"'],
    [{ depth: 3 }, 'channels.frames.depth is 3; wanted one of 2, 4, 8'],
    [{ publishers: ['camera', 'camera'] }, 'must NOT have duplicate items'],
    [{ budget: 1 }, 'channels.frames.budget is not a known field'],
    [{ slotSizeBytes: 16 * MIB, depth: 65_536 }, 'wanted at most 256 MiB'],
  ] as const)
    expect(checkManifest(manifest(channel))).toMatchObject({
      ok: false,
      faults: [expect.stringContaining(fault)],
    });
});
