import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ErofsRootfs } from '../../agent/supervisor/images/erofs-rootfs.ts';
import { PerlIdMapper } from '../../agent/supervisor/images/id-mapper.ts';
import { serviceSpec } from '../support/service-specs.ts';
import { type TinyImage, tinyImage } from '../support/tiny-image.ts';

const onDisk = (sizeBytes: number) => ({
  volume: 'kept',
  path: '/data',
  readOnly: false,
  gid: 77,
  sizeBytes,
  backing: 'disk' as const,
});

const fill = (file: string, bytes: number) => () => writeFileSync(file, Buffer.alloc(bytes));

describe('root filesystems from EROFS layers', () => {
  const runDir = mkdtempSync(join(tmpdir(), 'wherry rootfs-'));
  let image: TinyImage;
  let store: ErofsRootfs;
  const blobPath = (verity: string): string => join(image.blobDir, `${verity}.erofs`);
  const ours = (): string[] =>
    readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(runDir.replaceAll(' ', '\\040')));

  beforeAll(async () => {
    image = await tinyImage();
    store = new ErofsRootfs({ runDir, blobPath });
  });
  afterEach(() => store.destroy());
  afterAll(() => rmSync(runDir, { recursive: true, force: true }));

  test('a read-only root of one layer is the layer itself', async () => {
    const root = await store.mount(serviceSpec('one', { layers: [image.verity] }));
    expect(existsSync(join(root, 'bin/busybox'))).toBe(true);
    expect(() => writeFileSync(join(root, 'new'), '')).toThrow('read-only');
    expect(ours()).toHaveLength(1);
  });

  test('later layers lie over earlier ones, and mount points the image lacks are there', async () => {
    const mounts = [{ volume: 'v', path: '/srv/deep/data', readOnly: false, gid: 5, sizeBytes: 4096 }];
    const root = await store.mount(serviceSpec('one', { layers: [image.verity, image.extraVerity], mounts }));
    expect(existsSync(join(root, 'bin/busybox'))).toBe(true);
    expect(lstatSync(join(root, 'extra/link')).isSymbolicLink()).toBe(true);
    expect(statSync(join(root, 'srv/deep/data')).isDirectory()).toBe(true);
    expect(() => writeFileSync(join(root, 'new'), '')).toThrow('read-only');
  });

  test('a writable root takes writes up to its bound and forgets them', async () => {
    const spec = serviceSpec('one', {
      layers: [image.verity],
      security: { readOnlyRoot: false, capabilities: [] },
    });
    const root = await store.mount(spec);
    writeFileSync(join(root, 'new'), 'x');
    expect(() => writeFileSync(join(root, 'big'), Buffer.alloc(17 * 1024 * 1024))).toThrow('ENOSPC');
    expect(existsSync(join(await store.mount(spec), 'new'))).toBe(false);
  });

  test('a layer stays as long as another service uses it, and goes with the last', async () => {
    await store.mount(serviceSpec('one', { layers: [image.verity] }));
    await store.mount(serviceSpec('two', { layers: [image.verity, image.extraVerity] }));
    await store.unmount('one');
    await store.unmount('one');
    expect(ours()).toHaveLength(3);
    await store.unmount('two');
    expect(ours()).toEqual([]);
  });

  test('another store over the same folder knows what is in use', async () => {
    await store.mount(serviceSpec('one', { layers: [image.verity] }));
    await store.mount(serviceSpec('two', { layers: [image.verity] }));
    const other = new ErofsRootfs({ runDir, blobPath });
    await other.unmount('two');
    expect(ours()).toHaveLength(1);
    await other.unmount('one');
    expect(ours()).toEqual([]);
  });

  test('a volume is bounded, shared and belongs to its group', async () => {
    const mount = (sizeBytes: number) =>
      store.mount(
        serviceSpec('one', {
          layers: [image.verity],
          mounts: [{ volume: 'shared', path: '/srv', readOnly: false, gid: 4711, sizeBytes }],
        }),
      );
    await mount(64 * 1024);
    await mount(64 * 1024);
    const path = store.volumePath('shared');
    const stat = statSync(path);
    expect([stat.gid, stat.mode & 0o7777]).toEqual([4711, 0o2770]);
    expect(() => writeFileSync(join(path, 'big'), Buffer.alloc(128 * 1024))).toThrow('ENOSPC');
    const volumes = ours().filter((line) => line.includes('/volumes/shared'));
    expect(volumes[0]).toMatch(/nosuid,nodev,noexec/);
    await mount(256 * 1024);
    writeFileSync(join(path, 'big'), Buffer.alloc(128 * 1024));
    expect(ours().filter((line) => line.includes('/volumes/shared'))).toHaveLength(1);
  });

  describe('in ids of its own', () => {
    const range = { hostBase: 2_100_000_000, size: 65_536 };
    const shifting = () =>
      new ErofsRootfs({ runDir, blobPath, ids: { rangeOf: async () => range, mapper: new PerlIdMapper() } });
    const owner = (path: string): number => statSync(path).uid - range.hostBase;
    const mounts = [{ volume: 'v', path: '/srv/deep', readOnly: false, gid: 77, sizeBytes: 65_536 }];

    test('a layer, a folder it lacks, a writable layer and a volume belong to its root', async () => {
      const whole = await shifting().mount(serviceSpec('one', { layers: [image.verity] }));
      expect(owner(join(whole, 'bin/busybox'))).toBe(0);
      const security = { readOnlyRoot: false, capabilities: [] };
      const layers = [image.verity, image.extraVerity];
      const root = await shifting().mount(serviceSpec('two', { layers, mounts, security }));
      expect(['bin/busybox', 'extra', 'srv/deep', 'srv', '.'].map((path) => owner(join(root, path)))).toEqual(
        [0, 0, 0, 0, 0],
      );
      const volume = shifting().volumePath('v', 'two');
      expect(statSync(volume).gid).toBe(range.hostBase + 77);
      writeFileSync(join(root, 'new'), '');
      await shifting().unmount('one');
      await shifting().unmount('two');
      expect(ours().filter((line) => !line.includes('/volumes/'))).toEqual([]);
    });
  });

  describe('on disk', () => {
    const stateDir = mkdtempSync(join(tmpdir(), 'wherry-disk-'));
    const open = () => new ErofsRootfs({ runDir, blobPath, stateDir });
    const mib = 1024 ** 2;
    const mountVolume = (sizeBytes: number) =>
      open().mount(serviceSpec('one', { layers: [image.verity], mounts: [onDisk(sizeBytes)] }));
    const path = () => open().volumePath('kept');
    afterAll(() => rmSync(stateDir, { recursive: true, force: true }));

    test('a volume is bounded, outlives everything, grows at its next mount and never shrinks', async () => {
      await mountVolume(4 * mib);
      expect(statSync(join(stateDir, 'volumes/kept.img')).size).toBe(4 * mib);
      const { gid, mode } = statSync(path());
      expect([gid, mode & 0o7777]).toEqual([77, 0o2770]);
      expect(ours().find((line) => line.includes('ext4'))).toMatch(/nosuid,nodev,noexec/);
      expect(fill(join(path(), 'big'), 5 * mib)).toThrow('ENOSPC');
      rmSync(join(path(), 'big'));
      writeFileSync(join(path(), 'kept'), 'x');
      await store.destroy();
      expect(ours()).toEqual([]);
      await mountVolume(12 * mib);
      fill(join(path(), 'bigger'), 8 * mib)();
      expect(readFileSync(join(path(), 'kept'), 'utf8')).toBe('x');
      await expect(mountVolume(4 * mib)).rejects.toMatchObject({
        code: 'fail.volume',
        message: expect.stringContaining('never shrunk'),
      });
    });

    test('a volume in memory of the same name is covered, and it does not cover one on disk', async () => {
      await mountVolume(12 * mib);
      const inMemory = { ...onDisk(12 * mib), backing: undefined };
      await open().mount(serviceSpec('two', { layers: [image.verity], mounts: [inMemory] }));
      expect(ours().filter((line) => line.includes('/volumes/'))).toHaveLength(1);
      await store.destroy();
      await open().mount(serviceSpec('two', { layers: [image.verity], mounts: [inMemory] }));
      await mountVolume(12 * mib);
      expect(readFileSync(join(path(), 'kept'), 'utf8')).toBe('x');
    });

    test('a writable layer is bounded and leaves nothing behind', async () => {
      const security = { readOnlyRoot: false, capabilities: [] };
      const resources = {
        memoryMaxBytes: 16 * mib,
        cpuMax: 1,
        pidsMax: 16,
        disk: { writableBytes: 4 * mib, backing: 'disk' as const },
      };
      const root = await open().mount(serviceSpec('one', { layers: [image.verity], security, resources }));
      expect(fill(join(root, 'big'), 5 * mib)).toThrow('ENOSPC');
      await open().unmount('one');
      expect(readdirSync(join(stateDir, 'writable'))).toEqual([]);
      expect(ours()).toEqual([]);
    });

    test('without a folder for it, a volume on disk is refused', async () => {
      const spec = serviceSpec('one', { layers: [image.verity], mounts: [onDisk(mib)] });
      await expect(store.mount(spec)).rejects.toMatchObject({ code: 'fail.volume' });
    });
  });

  test('a blob that cannot be mounted is named', async () => {
    const broken = serviceSpec('one', { layers: ['f'.repeat(64)] });
    await expect(store.mount(broken)).rejects.toThrow('Cannot run mount');
  });

  test.each(['', ', and when their ids are shifted'])('sixty-four layers fit%s', async (shifted) => {
    const layers = Array.from({ length: 64 }, (_none, index) =>
      String(index).padStart(2, '0').padEnd(64, '0'),
    );
    const copyPath = (verity: string): string => join(runDir, `${verity}.erofs`);
    for (const verity of layers) copyFileSync(blobPath(image.extraVerity), copyPath(verity));
    const mapper = { bind: () => Promise.reject(new Error('Invalid argument')) };
    const rangeOf = async () => (shifted ? { hostBase: 2_100_000_000, size: 65_536 } : undefined);
    const many = new ErofsRootfs({ runDir, blobPath: copyPath, ids: { rangeOf, mapper } });
    const root = await many.mount(serviceSpec('one', { layers }));
    expect(statSync(join(root, 'extra')).uid).toBe(shifted ? 2_100_000_000 : 0);
    expect(ours()).toHaveLength(shifted ? 66 : 65);
  });
});
