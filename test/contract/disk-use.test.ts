import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { diskUse } from '../../agent/supervisor/disk-use.ts';
import { ErofsRootfs } from '../../agent/supervisor/images/erofs-rootfs.ts';
import { serviceSpec } from '../support/service-specs.ts';
import { type TinyImage, tinyImage } from '../support/tiny-image.ts';

const MIB = 1024 ** 2;
const dir = mkdtempSync(join(tmpdir(), 'wherry-disk-use-'));
let image: TinyImage;
let rootfs: ErofsRootfs;

beforeAll(async () => {
  image = await tinyImage();
  mkdirSync(join(dir, 'run'));
  rootfs = new ErofsRootfs({
    runDir: join(dir, 'run'),
    stateDir: join(dir, 'state'),
    blobPath: (verity) => join(image.blobDir, `${verity}.erofs`),
  });
});
afterAll(async () => {
  await rootfs.destroy();
  rmSync(dir, { recursive: true, force: true });
});

const mount = (volume: string, backing?: 'disk') => ({
  volume,
  path: `/${volume}`,
  readOnly: false,
  gid: 2000,
  sizeBytes: 8 * MIB,
  ...(backing && { backing }),
});
const spec = (readOnlyRoot: boolean, ...mounts: ReturnType<typeof mount>[]) =>
  serviceSpec('web', { layers: [image.verity], mounts, security: { readOnlyRoot, capabilities: [] } });

test('what a service wrote into its layer and its volumes is told, whatever they lie on', async () => {
  const wanted = spec(false, mount('memory'), mount('disk', 'disk'));
  const root = await rootfs.mount(wanted);
  const before = diskUse(rootfs, wanted);
  expect(before.diskBytes).toBeLessThan(MIB / 4);
  writeFileSync(join(root, 'layer'), Buffer.alloc(2 * MIB, 1));
  writeFileSync(join(rootfs.volumePath('memory'), 'data'), Buffer.alloc(MIB, 1));
  const disk = join(rootfs.volumePath('disk'), 'data');
  writeFileSync(disk, Buffer.alloc(3 * MIB, 1), { flush: true });
  const { diskBytes = 0, volumeBytes = 0 } = diskUse(rootfs, wanted);
  expect(diskBytes - (before.diskBytes ?? 0)).toBe(2 * MIB);
  expect(volumeBytes - (before.volumeBytes ?? 0)).toBe(4 * MIB);
  await rootfs.unmount('web');
});

test('a service without either has no such number, nor one that is not mounted', async () => {
  const plain = spec(true);
  await rootfs.mount(plain);
  expect(diskUse(rootfs, plain)).toEqual({});
  await rootfs.unmount('web');
  expect(diskUse(rootfs, spec(false, mount('nowhere')))).toEqual({});
});
