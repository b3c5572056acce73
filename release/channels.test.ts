import { expect, test } from 'vitest';
import { channelBudgetBytes } from '../protocol/channels.ts';
import { checkReleaseSource } from '../protocol/release-source.ts';
import { resolveChannels } from './core/resolve-resources.ts';
import { channelLines } from './inspect-lines.ts';

const service = { image: 'oci:x', resources: { memory: { max: '1MiB' }, cpu: { max: 1 }, pids: 1 } };
const source = (channel: object) => ({
  name: 'demo',
  version: '1',
  boards: ['generic-amd64'],
  services: { camera: service, detector: service },
  channels: { frames: { publishers: ['camera'], subscribers: ['detector'], slotSize: '1MiB', ...channel } },
});
const faultsOf = (channel: object): string[] => {
  const checked = checkReleaseSource(source(channel));
  return checked.ok ? [] : checked.faults;
};

test('a channel as a person writes it becomes plain numbers, its peers in order', () => {
  const { frames } = source({ publishers: ['detector', 'camera'] }).channels;
  expect(resolveChannels({ frames })).toEqual({
    frames: {
      publishers: ['camera', 'detector'],
      subscribers: ['detector'],
      slotSizeBytes: 1024 ** 2,
      depth: 8,
      mode: 'lossy',
    },
  });
  expect(resolveChannels({ frames: { ...frames, depth: 64, mode: 'reliable' } })).toMatchObject({
    frames: { depth: 64, mode: 'reliable' },
  });
});

test('a release without channels has none in its manifest, so that its digest stays', () => {
  expect(resolveChannels(undefined)).toBeUndefined();
  expect(resolveChannels({})).toBeUndefined();
});

test.each([
  [{ slotsize: '1MiB' }, 'channels.frames.slotsize is not a known field; did you mean "slotSize"?'],
  [{ budget: '9MiB' }, 'channels.frames.budget is not a known field'],
  [{ mode: 'lossless' }, 'channels.frames.mode is "lossless"; wanted one of lossy, latest, reliable'],
  [{ slotSize: '1 MB' }, 'channels.frames.slotSize is "1 MB"; wanted a size such as 64MiB'],
  [{ publishers: [] }, 'channels.frames.publishers must NOT have fewer than 1 items'],
  [{ subscribers: undefined }, 'channels.frames.subscribers is missing'],
])('%j is refused with its path', (channel, fault) => {
  expect(faultsOf(channel)).toEqual([expect.stringContaining(fault)]);
});

test('inspect shows who is on each channel and what it takes of the device', () => {
  const channels = resolveChannels(source({ subscribers: ['detector', 'camera'] }).channels) ?? {};
  const budgets = Object.entries(channels).map(([name, channel]) => [
    name,
    { ...channel, budgetBytes: channelBudgetBytes(channel) },
  ]);
  expect(channelLines({ channels: Object.fromEntries(budgets) })).toEqual([
    '',
    'CHANNEL  FROM    TO                RING       MODE   MEMORY',
    'frames   camera  camera, detector  8 x 1 MiB  lossy  8.1 MiB',
  ]);
  expect(channelLines({})).toEqual([]);
});
