import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { loadImageConfig } from './image-config.ts';

const CONFIGS = join(import.meta.dirname, '../board-configs');
const boards = readdirSync(CONFIGS).filter((name) => existsSync(join(CONFIGS, name, 'image.yaml')));
const dir = mkdtempSync(join(tmpdir(), 'wherry-configs-'));
afterAll(() => rmSync(dir, { recursive: true }));

test.each(boards)('%s: is whole, and mounts root and data with what the initramfs loads', async (board) => {
  const { kernel, packages } = await loadImageConfig(CONFIGS, board);
  expect(kernel.early).toEqual(expect.arrayContaining(['ext4', 'erofs']));
  expect(packages.system).toContain('systemd');
  expect(new Set(kernel.early).size).toBe(kernel.early.length);
});

test.each(
  boards.filter((name) => name.startsWith('raspberry-pi')),
)('%s: what U-Boot loads does not overlap, in the smallest of them', async (board) => {
  const { bootloader } = await loadImageConfig(CONFIGS, board);
  const { kernel, scratch, initramfs } = bootloader.load;
  const at = [bootloader.environment?.scriptaddr, kernel, scratch, initramfs].map(Number);
  const gaps = at.slice(1).map((address, index) => (address - (at[index] ?? 0)) / 1024 ** 2);
  // Room for the script, a kernel in memory, a device tree that grows.
  expect(gaps[0]).toBeGreaterThanOrEqual(1);
  expect(gaps[1]).toBeGreaterThanOrEqual(64);
  expect(gaps[2]).toBeGreaterThanOrEqual(1);
  expect(Number(initramfs) / 1024 ** 2).toBeLessThan(256);
});

test('a key that nobody knows is refused, also in a file that is extended', async () => {
  mkdirSync(join(dir, 'one'));
  writeFileSync(join(dir, 'one/image.yaml'), 'extends: base.yaml\nsuite: trixie\n');
  writeFileSync(join(dir, 'base.yaml'), 'kernle: {}\n');
  await expect(loadImageConfig(dir, 'one')).rejects.toThrow(/Cannot use .*one\/image\.yaml: .*kernle/);
  await expect(loadImageConfig(dir, 'none')).rejects.toThrow('only boards with one have an image');
});
