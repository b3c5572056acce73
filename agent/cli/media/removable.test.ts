import { expect, test } from 'vitest';
import { type BlockDevice, mountOptions, parseMountinfo, placesToLook } from './removable.ts';

const device = (name: string, change: Partial<BlockDevice> = {}): BlockDevice => ({
  name,
  number: `8:${name}`,
  disk: name.replace(/\d+$/, ''),
  isRemovable: true,
  isParted: false,
  sizeBytes: 1024,
  ...change,
});

test('mountinfo is read with its escapes', () => {
  const text =
    '36 35 8:1 / /media/my\\040stick ro,nosuid - vfat /dev/sda1 ro\n25 1 0:5 / /proc rw shared:1 - proc proc rw\n';
  expect(parseMountinfo(text)).toEqual([
    { number: '8:1', folder: '/media/my stick' },
    { number: '0:5', folder: '/proc' },
  ]);
});

test('a disk that is built in is never looked at, however it is mounted elsewhere', () => {
  const devices = [
    device('sda', { isParted: true }),
    device('sda1'),
    device('sdb1', { sizeBytes: 0 }),
    device('mmcblk0p3', { isRemovable: false }),
  ];
  expect(placesToLook(devices, [{ number: '8:mmcblk0p3', folder: '/' }])).toEqual({
    mounted: [],
    unmounted: ['/dev/sda1'],
  });
});

test('what is mounted is looked into where it is, and not mounted again', () => {
  const mounts = [
    { number: '8:sda1', folder: '/stick' },
    { number: '0:44', folder: '/mnt/depot' },
    { number: '8:mmcblk0p3', folder: '/var' },
  ];
  expect(placesToLook([device('sda1')], mounts)).toEqual({
    mounted: ['/stick', '/mnt/depot'],
    unmounted: [],
  });
});

test('a system that was booted from USB is no medium', () => {
  const devices = [device('sda', { isParted: true }), device('sda1'), device('sda2')];
  expect(placesToLook(devices, [{ number: '8:sda2', folder: '/' }])).toEqual({ mounted: [], unmounted: [] });
});

test.each(['vfat', 'ext4', 'iso9660'])('%s is mounted so that nothing on it runs or is written', (type) => {
  for (const option of ['ro', 'nosuid', 'nodev', 'noexec'])
    expect(mountOptions(type)?.split(',')).toContain(option);
});

test('a journal is not replayed, and what is no medium is not mounted', () => {
  expect([mountOptions('ext4'), mountOptions('crypto_LUKS'), mountOptions('')]).toEqual([
    'ro,nosuid,nodev,noexec,noload',
    undefined,
    undefined,
  ]);
});
