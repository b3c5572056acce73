import fc from 'fast-check';
import { expect, test } from 'vitest';
import { channelBudgetBytes, channelTmpfsBytes } from '../../../../protocol/channels.ts';
import { serviceChannel } from '../../from-manifest.ts';
import {
  deviationsOf,
  isMade,
  modeOf,
  type ObservedChannel,
  type ObservedFile,
  type Wanted,
} from './deviations.ts';
import { filesOf, newMeta, ringFixed } from './layout.ts';
import { leaversOf } from './leavers.ts';

const PAGE = 4096;
const channel = serviceChannel('frames', {
  publishers: ['camera'],
  subscribers: ['detector'],
  slotSizeBytes: 5000,
  depth: 4,
  mode: 'lossy',
});
const wanted: Wanted = {
  channel,
  pageBytes: PAGE,
  limitBytes: channelBudgetBytes(channel),
  owners: new Map([
    ['camera', 2001],
    ['detector', 2002],
  ]),
};

function whole(change: (files: Map<string, ObservedFile>) => void = () => undefined): ObservedChannel {
  const files = new Map(
    filesOf(channel).map(({ name, bytes, writer, kind }) => {
      const head =
        kind === 'meta'
          ? newMeta(channel, 7n)
          : kind === 'ring'
            ? ringFixed(channel, 7n)
            : new Uint8Array(64);
      const blocksBytes = Math.ceil(bytes / PAGE) * PAGE;
      return [
        name,
        { bytes, blocksBytes, uid: wanted.owners.get(writer ?? '') ?? 0, mode: modeOf(kind), head },
      ];
    }),
  );
  change(files);
  return {
    mount: { sizeBytes: channelTmpfsBytes(channel, PAGE), inodes: 4 },
    limitBytes: wanted.limitBytes,
    files,
  };
}

const spoil = (name: string, change: Partial<ObservedFile>): ObservedChannel =>
  whole((files) => files.set(name, { ...(files.get(name) as ObservedFile), ...change }));
const found = (seen: ObservedChannel) =>
  deviationsOf(wanted, seen).map(({ what, file, by }) => [what, file, by]);

test('a channel as it was made has nothing to set right', () => {
  expect(found(whole())).toEqual([]);
  expect(isMade(channel, whole())).toBe(true);
});

test('what a publisher can do to its ring is told with its name', () => {
  expect(found(spoil('ring.camera', { bytes: 0, blocksBytes: 0, head: new Uint8Array() }))).toEqual([
    ['size', 'ring.camera', 'camera'],
    ['memory', 'ring.camera', 'camera'],
    ['header', 'ring.camera', 'camera'],
  ]);
  expect(found(spoil('ring.camera', { blocksBytes: PAGE }))).toEqual([['memory', 'ring.camera', 'camera']]);
  expect(found(spoil('ring.camera', { mode: 0o666 }))).toEqual([['owner', 'ring.camera', 'camera']]);
  expect(found(spoil('ack.detector', { bytes: 4096 }))).toEqual([['size', 'ack.detector', 'detector']]);
});

test('any byte of the header that the agent wrote is missed', () => {
  fc.assert(
    fc.property(fc.nat(63), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const head = ringFixed(channel, 7n);
      head[at] = (head[at] ?? 0) ^ change;
      expect(found(spoil('ring.camera', { head }))).toEqual([['header', 'ring.camera', 'camera']]);
    }),
  );
});

test('what no service can have done has no name', () => {
  expect(found({ ...whole(), mount: undefined })).toEqual([['mount', undefined, undefined]]);
  expect(found({ ...whole(), mount: { sizeBytes: PAGE, inodes: 4 } })).toEqual([
    ['mount', undefined, undefined],
  ]);
  expect(found({ ...whole(), limitBytes: undefined })).toEqual([['cgroup', undefined, undefined]]);
  expect(found({ ...whole(), limitBytes: Infinity })).toEqual([['cgroup', undefined, undefined]]);
  expect(found(whole((files) => files.delete('ring.camera')))).toEqual([
    ['memory', 'ring.camera', undefined],
  ]);
  expect(found(spoil('ring.camera', { uid: 5 }))).toEqual([['owner', 'ring.camera', undefined]]);
  expect(found(spoil('meta', { head: new Uint8Array(8192) }))).toEqual([['meta', 'meta', undefined]]);
});

test('a limit that the kernel rounded to whole pages is held', () => {
  expect(found({ ...whole(), limitBytes: wanted.limitBytes - PAGE + 1 })).toEqual([]);
});

test('one that was cut off while it was made was never whole', () => {
  expect(isMade(channel, { ...whole(), mount: undefined })).toBe(false);
  expect(isMade(channel, spoil('meta', { head: new Uint8Array(8192) }))).toBe(false);
  expect(
    isMade(
      channel,
      whole((files) => files.delete('meta')),
    ),
  ).toBe(false);
});

test('a channel goes when nobody wants it and no container has it', () => {
  const channels = [
    { id: 'a.1', peers: ['camera'] },
    { id: 'a.2', peers: ['camera'] },
    { id: 'b.1', peers: undefined },
  ];
  expect(leaversOf(channels, new Set(['a.2']), [])).toEqual(['a.1', 'b.1']);
  expect(leaversOf(channels, new Set(['a.2']), [{ service: 'camera', channels: ['a.1'] }])).toEqual(['b.1']);
  expect(leaversOf(channels, new Set(['a.2']), [{ service: 'camera', channels: [] }])).toEqual([
    'a.1',
    'b.1',
  ]);
  const unknown = [{ service: 'camera', channels: undefined }];
  expect(leaversOf(channels, new Set(['a.2']), unknown)).toEqual(['b.1']);
  expect(leaversOf(channels, new Set(), [{ service: 'other', channels: undefined }])).toEqual([
    'a.1',
    'a.2',
    'b.1',
  ]);
});

test('no channel that is wanted or used ever goes, and no other stays', () => {
  const id = fc.constantFrom('a.1', 'a.2', 'b.1', 'c.1');
  const user = fc.record({
    service: fc.constantFrom('camera', 'detector'),
    channels: fc.option(fc.uniqueArray(id), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.uniqueArray(id), fc.uniqueArray(id), fc.array(user), (there, desired, users) => {
      const gone = leaversOf(
        there.map((each) => ({ id: each, peers: ['camera'] })),
        new Set(desired),
        users,
      );
      for (const each of there) {
        const isUsed = users.some(({ service, channels }) =>
          channels === undefined ? service === 'camera' : channels.includes(each),
        );
        expect(gone.includes(each)).toBe(!desired.includes(each) && !isUsed);
      }
    }),
  );
});
