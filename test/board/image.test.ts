import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  createReadStream,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BuiltBoard, buildBoard, compressedImage } from '../../boards/builder/build-board.ts';
import { readFatFile } from '../../boards/fat.ts';
import { CHOICE_SECTOR, DISK_SECTORS, PARTITIONS, type Partition, SECTOR } from '../../boards/layout.ts';
import { decodeEnvironment } from '../../boards/uboot/environment.ts';
import { ROOT } from '../../scripts/setup.mjs';

const BOARD = 'qemu-virt';
const CACHE = join(ROOT, 'boards/.build');

let dir: string;
let production: BuiltBoard;
let development: BuiltBoard;

async function sha256(...streams: Parameters<typeof pipeline>[0][]): Promise<string> {
  const hash = createHash('sha256');
  await pipeline([...streams, hash] as never);
  return hash.digest('hex');
}
const digestOf = (file: string): Promise<string> => sha256(createReadStream(file));
const partition = ({ start }: Partition, size: number, disk: string): Buffer => {
  const bytes = Buffer.alloc(size);
  readSync(openSync(disk, 'r'), bytes, 0, size, start * SECTOR);
  return bytes;
};
/** Paths of a board's root filesystem, one a line. */
function filesOf({ root }: BuiltBoard): string {
  const folder = mkdtempSync(join(dir, 'root-'));
  execFileSync('fsck.erofs', [`--extract=${folder}`, '--overwrite', root], { stdio: 'ignore' });
  return execFileSync('find', [folder, '-printf', '/%P\n'], { encoding: 'utf8', maxBuffer: 64 * 1024 ** 2 });
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'wherry-image-'));
  production = await buildBoard({ board: BOARD });
  development = await buildBoard({ board: BOARD, variant: 'development' });
}, 900_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("a board's image", () => {
  test('holds what its slots are filled with, slot a chosen, slot b and the data empty', async () => {
    const { disk, boot, root } = production;
    expect(statSync(disk).size).toBe(DISK_SECTORS * SECTOR);
    expect(partition(PARTITIONS['boot-a'], statSync(boot).size, disk).equals(readFileSync(boot))).toBe(true);
    expect(partition(PARTITIONS['system-a'], statSync(root).size, disk).equals(readFileSync(root))).toBe(
      true,
    );
    expect(partition(PARTITIONS['boot-b'], 4096, disk).equals(Buffer.alloc(4096))).toBe(true);
    expect(partition(PARTITIONS['system-b'], 4096, disk).equals(Buffer.alloc(4096))).toBe(true);
    const choice = { ...PARTITIONS.firmware, start: CHOICE_SECTOR };
    expect(decodeEnvironment(partition(choice, SECTOR, disk))).toEqual({ active: 'a', trial: '', token: '' });
    expect(await readFatFile(disk, 'boot.scr', PARTITIONS.firmware.start * SECTOR)).toBeDefined();
    expect(await readFatFile(disk, 'wherry.json', PARTITIONS.firmware.start * SECTOR)).toBeUndefined();
    const environment = await readFatFile(boot, 'boot.env');
    expect(environment?.toString()).toBe(`cmdline=${production.config.kernel.commandLine.join(' ')}\n`);
    execFileSync('fsck.fat', ['-n', boot]);
    execFileSync('fsck.erofs', [root]);
  });

  test('has a way in only when it is made for development, and no secret', () => {
    const ways = /board-control|console-shell|sshd|dropbear|telnetd/;
    const files = filesOf(production);
    expect(files).toContain('/opt/wherry/dist/agent/main.js');
    expect(files).toContain('/usr/lib/wherry/trial-guard');
    expect(files.split('\n').filter((path) => ways.test(path))).toEqual([]);
    expect(files).not.toMatch(/\/etc\/wherry\/.|\/root\/.|ssh_host|\.pem\n|\.key\n/);
    // Nobody is asked for a name: what would start a login is masked, and there is no program for it.
    expect(files).not.toMatch(/\/s?bin\/login\n/);
    expect(readFileSync(join(ROOT, 'boards/links.txt'), 'utf8')).toContain('getty.target /dev/null');
    expect(
      filesOf(development)
        .split('\n')
        .filter((path) => ways.test(path)).length,
    ).toBeGreaterThan(3);
    const shadow = readFileSync(join(ROOT, 'boards/rootfs/etc/shadow'), 'utf8');
    expect(shadow).toMatch(/^root:\*:/);
  });

  test('comes with a list of every package and version', () => {
    const { packages, spdxVersion, relationships } = JSON.parse(readFileSync(production.manifest, 'utf8'));
    expect(spdxVersion).toBe('SPDX-2.3');
    const names: string[] = packages.map(({ name }: { name: string }) => name);
    expect(names).toEqual(expect.arrayContaining(['systemd', 'crun', 'u-boot-qemu', 'wherry', 'npm-mqtt']));
    expect(new Set(packages.map(({ SPDXID }: { SPDXID: string }) => SPDXID)).size).toBe(names.length);
    expect(relationships).toHaveLength(names.length);
    for (const each of packages) expect(each).toMatchObject({ versionInfo: expect.stringMatching(/^\S+$/) });
  });

  test('is compressed to a file that gives it back', async () => {
    const image = await compressedImage(production);
    expect(statSync(image).size).toBeLessThan(statSync(production.disk).size / 8);
    expect(await sha256(createReadStream(image), createZstdDecompress())).toBe(
      await digestOf(production.disk),
    );
  }, 600_000);

  test('is the same bytes when it is built in another folder', async () => {
    const cacheDir = join(dir, 'cache');
    mkdirSync(cacheDir);
    execFileSync('cp', ['-al', join(CACHE, 'debian'), join(CACHE, 'npm'), cacheDir]);
    const again = await buildBoard({ board: BOARD, cacheDir });
    expect(await digestOf(again.disk)).toBe(await digestOf(production.disk));
    expect(readFileSync(again.manifest, 'utf8')).toBe(readFileSync(production.manifest, 'utf8'));
  }, 900_000);
});
