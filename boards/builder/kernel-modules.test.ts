import { expect, test } from 'vitest';
import { loadOrder, parseDependencies, wantedModules } from './kernel-modules.ts';

const ALL = parseDependencies(
  [
    'kernel/fs/erofs/erofs.ko.xz: kernel/lib/lz4.ko.xz kernel/lib/crc.ko.xz',
    'kernel/lib/lz4.ko.xz: kernel/lib/crc.ko.xz',
    'kernel/lib/crc.ko.xz:',
    'kernel/drivers/net/virtio_net.ko.xz:',
    '',
  ].join('\n'),
);

test('what a wanted module depends on comes along, and nothing else', () => {
  expect([...wantedModules(ALL, ['fs/erofs/.*'])].sort()).toEqual([
    'kernel/fs/erofs/erofs.ko.xz',
    'kernel/lib/crc.ko.xz',
    'kernel/lib/lz4.ko.xz',
  ]);
});

test('a pattern that finds nothing is an error: the board would miss what it names', () => {
  expect(() => wantedModules(ALL, ['fs/xfs/xfs'])).toThrow('"fs/xfs/xfs"');
});

test('modules are loaded after those that they depend on, each once', () => {
  expect(loadOrder(ALL, ['virtio-net', 'erofs'])).toEqual([
    'kernel/drivers/net/virtio_net.ko.xz',
    'kernel/lib/crc.ko.xz',
    'kernel/lib/lz4.ko.xz',
    'kernel/fs/erofs/erofs.ko.xz',
  ]);
  expect(() => loadOrder(ALL, ['ext4'])).toThrow('Cannot load kernel module "ext4" early');
});
