import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pruneFirmware, takeKernel } from './kernel-package.ts';

let dir: string;
let root: string;

function put(path: string, text = path): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'wherry-kernel-'));
  root = join(dir, 'root');
});
afterEach(() => rmSync(dir, { recursive: true }));

test.each([
  ['up to 6.12', 'boot/vmlinuz-9', 'usr/lib/linux-image-9'],
  ['from 7 on', 'usr/lib/modules/9/vmlinuz', 'usr/lib/modules/9/dtb'],
])('takes the kernel and the wanted trees out of packages as Debian has them %s', async (_, kernel, trees) => {
  put('usr/lib/modules/9/kernel/ext4.ko');
  put(kernel, 'the kernel');
  put(`${trees}/broadcom/one.dtb`, 'a tree');
  put(`${trees}/broadcom/two.dtb`);
  expect(await takeKernel(root, dir, 'linux-image-x', ['broadcom/one.dtb'])).toBe('9');
  expect(readFileSync(join(dir, 'kernel'), 'utf8')).toBe('the kernel');
  expect(readFileSync(join(dir, 'device-trees/broadcom/one.dtb'), 'utf8')).toBe('a tree');
  const left = readdirSync(root, { recursive: true, withFileTypes: true });
  expect(left.filter((entry) => entry.isFile()).map(({ name }) => name)).toEqual(['ext4.ko']);
  expect(readdirSync(root)).toContain('boot');
});

test('a tree that the package does not have is named', async () => {
  put('usr/lib/modules/9/vmlinuz');
  await expect(takeKernel(root, dir, 'linux-image-x', ['broadcom/no.dtb'])).rejects.toThrow(
    /^Cannot build: package linux-image-x holds none of .*broadcom\/no\.dtb/,
  );
});

test('keeps the firmware that is asked for, links too, and says what no package has', async () => {
  put('usr/lib/firmware/brcm/a.bin');
  put('usr/lib/firmware/brcm/b.bin');
  symlinkSync('a.bin', join(root, 'usr/lib/firmware/brcm/link.bin'));
  await expect(pruneFirmware(root, ['brcm/c\\.bin'])).rejects.toThrow(
    'no package holds firmware "brcm/c\\.bin"',
  );
  await pruneFirmware(root, ['brcm/(a|link)\\.bin']);
  expect(readdirSync(join(root, 'usr/lib/firmware/brcm')).sort()).toEqual(['a.bin', 'link.bin']);
});
