import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { deviceOfFolder, wholeDisk } from './block-device.ts';

const root = mkdtempSync(join(tmpdir(), 'wherry-block-'));
afterAll(() => rmSync(root, { recursive: true }));

const MOUNTS = [
  '27 1 179:2 / / rw - ext4 /dev/mmcblk0p2 rw',
  '31 27 179:5 / /var/lib/wherry\\040data rw - ext4 /dev/mmcblk0p5 rw',
  '32 27 0:40 / /var/lib/wherry\\040data/run rw - tmpfs tmpfs rw',
].join('\n');

test('the innermost mount holds a folder', () => {
  expect(deviceOfFolder('/var/lib', MOUNTS)).toBe('179:2');
  expect(deviceOfFolder('/var/lib/wherry data/images', MOUNTS)).toBe('179:5');
  expect(deviceOfFolder('/var/lib/wherry data/run', MOUNTS)).toBe('0:40');
  expect(deviceOfFolder('/var/lib/wherry data-old', MOUNTS)).toBe('179:2');
});

test('a partition stands for its disk, and a device number without a disk for none', () => {
  const disk = join(root, 'devices/mmcblk0');
  mkdirSync(join(disk, 'mmcblk0p5'), { recursive: true });
  mkdirSync(join(disk, 'queue'));
  writeFileSync(join(disk, 'dev'), '179:0\n');
  writeFileSync(join(disk, 'queue/scheduler'), 'none mq-deadline [bfq]\n');
  writeFileSync(join(disk, 'mmcblk0p5/partition'), '5\n');
  writeFileSync(join(disk, 'mmcblk0p5/dev'), '179:5\n');
  symlinkSync(join(disk, 'mmcblk0p5'), join(root, '179:5'));
  expect(wholeDisk('179:5', root)).toEqual({ id: '179:0', scheduler: 'bfq' });
  expect(wholeDisk('0:40', root)).toBeUndefined();
});
