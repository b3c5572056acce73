import { createReadStream, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { sha256Hex } from '../../protocol/canonical.ts';
import { ReleaseError } from '../../release/errors.ts';
import { LayerCache } from '../../release/layer/convert.ts';
import { file, folder, hardLink, link, place, removeBench } from './hostile-bench.ts';
import { must } from './must.ts';
import { spoilings, spoilt } from './mutations.ts';
import { longName, pax, type RawEntry, rawTar } from './tar-archive.ts';

afterAll(removeBench);

/** Converts a layer here; the code of its refusal, or "ok". */
async function convert(tar: Buffer): Promise<string> {
  const { folder, isUntouched } = place();
  const file = join(folder, 'layer.tar');
  writeFileSync(file, tar);
  const cache = new LayerCache(join(folder, 'cache'));
  try {
    const { verity } = await cache.convert({ diffId: sha256Hex(tar), open: () => createReadStream(file) });
    must(readdirSync(join(folder, 'cache')).includes(`${verity}.erofs`), 'it is taken and has no blob');
    return 'ok';
  } catch (error) {
    if (!(error instanceof ReleaseError)) throw error;
    must(readdirSync(join(folder, 'cache')).length === 0, 'it is refused and left something');
    return error.code;
  } finally {
    must(isUntouched(), 'something outside its folder has changed');
    rmSync(join(folder, '..', '..'), { recursive: true });
  }
}

describe('path tricks in layers', () => {
  const refused: [string, RawEntry[]][] = [
    ['an absolute path', [file('/etc/passwd')]],
    ['a path that climbs', [file('../../canary')]],
    ['a path that climbs from within', [folder('a'), file('a/../../canary')]],
    ['a climbing path in a pax record', [pax({ path: '../../canary' }), file('harmless')]],
    ['an absolute path in a pax record', [pax({ path: '/etc/passwd' }), file('harmless')]],
    ['a climbing path in a GNU long name', [longName('../../canary'), file('harmless')]],
    ['a climbing prefix', [file('canary', { prefix: '../..' })]],
    ['a file below a symlink', [link('out', '/tmp'), file('out/canary')]],
    ['a file below a chain of symlinks', [link('a', 'b'), link('b', '..'), file('a/canary')]],
    ['a folder below a symlink', [link('out', '..'), folder('out/canary')]],
    ['a hard link out', [hardLink('passwd', '/etc/passwd')]],
    ['a hard link that climbs', [hardLink('passwd', '../../canary')]],
    ['a hard link through a symlink', [link('out', '..'), hardLink('c', 'out/canary')]],
    ['a hard link to nothing', [hardLink('a', 'b')]],
    ['a hard link to itself', [hardLink('a', 'a')]],
    ['a climbing whiteout', [file('../../.wh.canary', { content: Buffer.alloc(0) })]],
    ['a whiteout of nothing', [file('a/.wh.', { content: Buffer.alloc(0) })]],
    ['a whiteout of what is above', [file('a/.wh...', { content: Buffer.alloc(0) })]],
    ['a file below a whiteout', [file('.wh.a/b')]],
    ['a name of 4 KiB', [longName('n'.repeat(4096)), file('harmless')]],
    ['a path of many folders, longer than any path', [longName('d/'.repeat(3_000)), file('harmless')]],
    ['a NUL in a pax path', [pax({ path: 'a\0b' }), file('harmless')]],
    ['a file in place of the root', [file('.')]],
    ['an unknown type', [file('a', { flag: 'Z' })]],
    ['a size that is no number', [file('a', { size: 'x1234567890' })]],
    ['a negative size', [file('a', { over: [[124, '\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff']] })]],
    ['a size of 8 EiB', [file('a', { over: [[124, '\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff']] })]],
    ['a pax size past the end', [pax({ size: '999999999999' }), file('a')]],
    ['a wrong checksum', [file('a', { isUnchecked: true })]],
    ['pax records that are none', [{ name: 'pax', flag: 'x', content: Buffer.from('12345 no') }, file('a')]],
    ['a pax record of length 0', [{ name: 'pax', flag: 'x', content: Buffer.from('0 a=b\n') }, file('a')]],
    ['a sparse map that is none', [pax({ 'GNU.sparse.map': '5,1,0,9', 'GNU.sparse.size': '3' }), file('a')]],
  ];
  test.for(refused)('%s is refused', async ([, entries]) => {
    expect(await convert(rawTar(entries))).toBe('image-refused');
  });

  const taken: [string, RawEntry[]][] = [
    [
      'symlinks out, which only mean something in the container',
      [link('a', '/etc/passwd'), link('b', '../../..')],
    ],
    ['symlinks in a circle', [link('a', 'b'), link('b', 'a')]],
    [
      'device nodes, which the mount forbids to open',
      [
        {
          name: 'null',
          flag: '3',
          over: [
            [329, '0000001'],
            [337, '0000003'],
          ],
        },
      ],
    ],
    ['names that are no UTF-8', [file(Buffer.from([0xff, 0xfe, 0x80])), file(Buffer.from([0xc3, 0x28]))]],
    ['a name of line ends and escapes', [file('a\nb\x1b[31m')]],
    ['the same name twice', [file('a'), file('a'), folder('a'), file('a/b')]],
  ];
  test.for(taken)('%s are taken, and nothing of them is made here', async ([, entries]) => {
    expect(await convert(rawTar(entries))).toBe('ok');
  });

  test('however a layer is spoilt, it is taken or refused by a code', async () => {
    const good = rawTar([
      folder('etc'),
      file('etc/passwd', { content: Buffer.from('root:x:0:0::/:/bin/sh\n') }),
      pax({ path: 'long/'.repeat(40), 'SCHILY.xattr.user.note': 'x', mtime: '1.5' }),
      folder('l'),
      link('sh', 'busybox'),
      hardLink('etc/group', 'etc/passwd'),
      file('.wh.gone', { content: Buffer.alloc(0) }),
    ]);
    await fc.assert(
      fc.asyncProperty(spoilings, async (cuts) => {
        await convert(spoilt(good, cuts));
      }),
      { numRuns: 60 },
    );
  });
});
