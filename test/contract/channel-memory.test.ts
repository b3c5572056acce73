import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { openCgroups, openChannelCgroups } from '../../agent/supervisor/cgroup/detect.ts';
import { HELPER_BYTES, makeChannel } from '../../agent/supervisor/channels/make-channel.ts';
import { removeTmpfs } from '../../agent/supervisor/channels/tmpfs-files.ts';
import { serviceChannel } from '../../agent/supervisor/from-manifest.ts';
import { readMounts } from '../../agent/supervisor/images/mount-table.ts';
import { type ChannelDefinition, channelBudgetBytes, channelTmpfsBytes } from '../../protocol/channels.ts';
import { until } from '../support/until.ts';

const MIB = 1024 ** 2;
const OWNERS = new Map([
  ['camera', 2_000_001_000],
  ['detector', 2_000_066_536],
]);

/** On whatever kernel this is: cgroup v1 or v2, pages of 4 or 16 KiB. */
describe('the memory of a channel', () => {
  const dir = mkdtempSync(join(tmpdir(), 'wherry-channel-memory-'));
  const instance = `cm${process.pid}`;
  const cgroups = openChannelCgroups(instance);
  const page = statfsSync('/proc').bsize;
  const channel = serviceChannel('frames', {
    publishers: ['camera'],
    subscribers: ['detector'],
    slotSizeBytes: MIB,
    depth: 8,
    mode: 'lossy',
  });
  const path = join(dir, channel.id);
  const make = (owners: ReadonlyMap<string, number> = OWNERS) =>
    makeChannel(channel, { path, cgroups, owners });
  const ring = join(path, 'ring.camera');
  const charged = () => cgroups.read(channel.id)?.usedBytes;

  afterEach(async () => {
    await removeTmpfs(path);
    await cgroups.remove(channel.id);
    const left = [...cgroups.names(), ...readdirSync(dir)];
    if (left.length > 0) throw new Error(`Something is left: ${left.join(', ')}`);
  });
  afterAll(async () => {
    await openCgroups(instance).destroy();
    rmSync(dir, { recursive: true, force: true });
  });

  test('is there whole, to the page, and charged to its cgroup alone', async () => {
    const whole = channelTmpfsBytes(channel, page);
    expect(await make()).toEqual([]);
    const { bsize, blocks, bfree, files, ffree } = statfsSync(path);
    expect([blocks * bsize, bfree, files, ffree]).toEqual([whole, 0, 4, 0]);
    const [mount] = readMounts(dir);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).toMatch(
      new RegExp(`${channel.id} rw,nosuid,nodev,noexec`),
    );
    expect(mount?.type).toBe('tmpfs');
    await until(() => charged() === whole, { what: 'the pages to be counted' });
    const limit = cgroups.read(channel.id)?.limitBytes ?? 0;
    expect(channelBudgetBytes(channel) + HELPER_BYTES - limit).toBeLessThan(page);
    expect(spawnSync('sh', ['-c', `echo x > ${path}/more`]).status).not.toBe(0);
    expect(spawnSync('fallocate', ['-l', String(16 * MIB), ring]).status).not.toBe(0);
  });

  test('belongs file by file to who writes it, and may be read by all who get there', async () => {
    await make();
    const files = ['meta', 'ring.camera', 'ack.detector'].map((file) => statSync(join(path, file)));
    expect(files.map(({ uid, gid, mode }) => [uid, gid, (mode & 0o7777).toString(8)])).toEqual([
      [0, 0, '444'],
      [2_000_001_000, 0, '644'],
      [2_000_066_536, 0, '644'],
    ]);
  });

  test('is left as it is by who looks again, and by the next agent', async () => {
    await make();
    const { ino, dev, mtimeMs } = statSync(ring);
    expect(await make()).toEqual([]);
    expect(statSync(ring)).toMatchObject({ ino, dev, mtimeMs });
  });

  test('is filled again where pages were taken out or the file was cut, and says who can have done it', async () => {
    await make();
    const { size } = statSync(ring);
    expect(spawnSync('fallocate', ['--punch-hole', '-o', '4096', '-l', String(4 * MIB), ring]).status).toBe(
      0,
    );
    expect(statSync(ring).blocks * 512).toBeLessThan(size);
    expect(await make()).toMatchObject([{ what: 'memory', file: 'ring.camera', by: 'camera' }]);
    truncateSync(ring, 100);
    expect(await make()).toMatchObject([
      { what: 'size', file: 'ring.camera', by: 'camera' },
      { what: 'memory', by: 'camera' },
    ]);
    expect(statSync(ring).size).toBe(size);
    expect(statfsSync(path).bfree).toBe(0);
    await until(() => charged() === channelTmpfsBytes(channel, page), { what: 'the pages to be counted' });
    expect(await make()).toEqual([]);
  });

  test('keeps its header and what the publisher has written, whatever else is spoilt', async () => {
    await make();
    const header = readFileSync(ring).subarray(0, 64);
    const fd = openSync(ring, 'r+');
    writeSync(fd, Buffer.alloc(64, 0x5a), 0, 64, 0);
    writeSync(fd, Buffer.from([7, 0, 0, 0, 3, 0, 0, 0]), 0, 8, 64);
    closeSync(fd);
    expect(await make()).toMatchObject([{ what: 'header', file: 'ring.camera', by: 'camera' }]);
    expect(readFileSync(ring).subarray(0, 64)).toEqual(header);
    expect([...readFileSync(ring).subarray(64, 72)]).toEqual([7, 0, 0, 0, 3, 0, 0, 0]);
  });

  test('is made anew when its filesystem is gone, and gets another size where it was given one', async () => {
    await make();
    expect(spawnSync('mount', ['-o', 'remount,size=64m,nr_inodes=100', path]).status).toBe(0);
    expect((await make()).map(({ what, by }) => [what, by])).toEqual([['mount', undefined]]);
    expect(statfsSync(path).files).toBe(4);
    // Somebody runs who has the old one still.
    const held = openSync(ring, 'r');
    expect(spawnSync('umount', ['--lazy', path]).status).toBe(0);
    expect(await make()).toEqual([]);
    closeSync(held);
    expect(statfsSync(path).bfree).toBe(0);
  });

  test('is given to another user where a new release has another', async () => {
    await make();
    const others = new Map([...OWNERS, ['camera', 5] as const]);
    expect((await make(others)).map(({ what }) => what)).toEqual(['owner']);
    expect(statSync(ring).uid).toBe(5);
  });

  test.each([
    ['the smallest', { slotSizeBytes: 1, depth: 2 }],
    [
      'one of many peers',
      { publishers: ['a', 'b', 'c', 'd'], subscribers: ['e', 'f', 'g'], slotSizeBytes: 999 },
    ],
    ['a large one', { slotSizeBytes: 4 * MIB, depth: 8 }],
  ] as const)('%s fits into what is admitted for it', async (_name, change) => {
    const other = serviceChannel('other', { ...channel, ...change } as unknown as ChannelDefinition);
    const place = { path: join(dir, other.id), cgroups, owners: new Map<string, number>() };
    try {
      expect(await makeChannel(other, place)).toEqual([]);
      expect(statfsSync(place.path).bfree).toBe(0);
      expect(channelTmpfsBytes(other, page)).toBeLessThan(channelBudgetBytes(other));
    } finally {
      await removeTmpfs(place.path);
      await cgroups.remove(other.id);
    }
  });
});
