import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { sha256Hex } from '../../protocol/canonical.ts';
import { ReleaseError } from '../../release/errors.ts';
import { LayerCache } from '../../release/layer/convert.ts';
import { openImage } from '../../release/oci/reference.ts';
import {
  type Blob,
  build,
  digestOf,
  file,
  hardLink,
  layout,
  link,
  MIB,
  MOST_MIB,
  place,
  removeBench,
} from './hostile-bench.ts';
import { must } from './must.ts';
import { changed, changes } from './mutations.ts';
import { longName, pax, type RawEntry, rawTar } from './tar-archive.ts';

afterAll(removeBench);
const zeros = (bytes: number): Buffer => Buffer.alloc(bytes);

/** Nothing is left beside the cache and the image itself. */
function expectOutcome({ came, mostMib }: { came: string; mostMib: number }, codes: readonly string[]): void {
  expect(codes).toContain(came);
  expect(mostMib).toBeLessThan(MOST_MIB);
}

describe('images', () => {
  const layer = rawTar([file('a')]);

  test('however its documents lie, an image is taken or refused by a code', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('index', 'manifest', 'config'), changes, async (which, places) => {
        const { folder: at, isUntouched } = place();
        const image = join(at, 'image');
        const reference = layout(image, [{ data: layer }], (kind, document) =>
          kind === which ? changed(document, places) : document,
        );
        try {
          const opened = await openImage(reference, at, join(at, 'temp'));
          const { layers } = await opened.image('linux/amd64');
          const cache = new LayerCache(join(at, 'cache'));
          for (const each of layers) await cache.convert(each);
          await opened.close();
        } catch (error) {
          if (!(error instanceof ReleaseError)) throw error;
        }
        must(isUntouched(), 'something outside its folder has changed');
        rmSync(join(at, '..', '..'), { recursive: true });
      }),
      { numRuns: 60 },
    );
  });

  const traps: [string, string[], (at: string) => string][] = [
    [
      'a document that is larger than it says',
      ['image', 'image-refused', 'image-digest'],
      (at) => {
        const reference = layout(at, [{ data: layer }]);
        const [index] = (
          JSON.parse(execFileSync('cat', [join(at, 'index.json')], { encoding: 'utf8' })) as {
            manifests: { digest: string }[];
          }
        ).manifests;
        execFileSync('truncate', ['-s', '1900M', join(at, 'blobs/sha256', index?.digest.slice(7) ?? '')]);
        return reference;
      },
    ],
    [
      'an endless index',
      ['image-refused', 'image'],
      (at) => {
        const reference = layout(at, [{ data: layer }]);
        execFileSync('truncate', ['-s', '1900M', join(at, 'index.json')]);
        return reference;
      },
    ],
    [
      'an index that is a pipe nobody writes to',
      ['image-refused', 'image'],
      (at) => {
        const reference = layout(at, [{ data: layer }]);
        rmSync(join(at, 'index.json'));
        execFileSync('mkfifo', [join(at, 'index.json')]);
        return reference;
      },
    ],
    [
      'a blob that is a pipe nobody writes to',
      ['image-refused', 'image'],
      (at) => {
        const reference = layout(at, [{ data: layer }]);
        rmSync(join(at, 'blobs/sha256', sha256Hex(layer)));
        execFileSync('mkfifo', [join(at, 'blobs/sha256', sha256Hex(layer))]);
        return reference;
      },
    ],
    [
      'a blob that is /dev/zero',
      ['image-refused', 'image', 'image-digest'],
      (at) => {
        const reference = layout(at, [{ data: layer }]);
        rmSync(join(at, 'blobs/sha256', sha256Hex(layer)));
        symlinkSync('/dev/zero', join(at, 'blobs/sha256', sha256Hex(layer)));
        return reference;
      },
    ],
  ];
  test.for(traps)('%s', { timeout: 130_000 }, async ([, codes, make]) => {
    const { folder: at, isUntouched } = place();
    expectOutcome(await build(make(join(at, 'image')), at), codes);
    expect(isUntouched()).toBe(true);
  });

  const archives: [string, string[], RawEntry[]][] = [
    [
      'whose index is a link to a file of the machine',
      ['image-refused', 'image'],
      [link('index.json', '/etc/passwd')],
    ],
    ['whose index is a pipe', ['image-refused', 'image'], [{ name: 'index.json', flag: '6' }]],
    [
      'whose manifest is a device',
      ['image-refused', 'image'],
      [
        {
          name: 'manifest.json',
          flag: '3',
          over: [
            [329, '0000001'],
            [337, '0000005'],
          ],
        },
      ],
    ],
    [
      'whose config leads out',
      ['image-refused'],
      [file('manifest.json', { content: Buffer.from('[{"Config":"../../canary","Layers":["a"]}]') })],
    ],
    [
      'whose entries climb',
      ['image-refused', 'image'],
      [file('../../canary', { content: Buffer.from('dead') })],
    ],
    [
      'that writes through a link',
      ['image-refused', 'image'],
      [link('out', '../..'), file('out/canary', { content: Buffer.from('dead') })],
    ],
    [
      'that links to a file outside and writes to it',
      ['image-refused', 'image'],
      [hardLink('c', '../../../canary'), file('c', { content: Buffer.from('dead') })],
    ],
    ['of nothing', ['image-refused', 'image'], []],
  ];
  test.for(archives)('a docker archive %s', { timeout: 130_000 }, async ([, codes, entries]) => {
    const { folder: at, isUntouched } = place();
    writeFileSync(join(at, 'image.tar'), rawTar(entries));
    expectOutcome(await build(`docker-archive:${join(at, 'image.tar')}`, at), codes);
    expect(isUntouched()).toBe(true);
    expect(readdirSync(join(at, 'temp'))).toEqual([]);
  });
});

describe('bombs', () => {
  const GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';
  const ZSTD = 'application/vnd.oci.image.layer.v1.tar+zstd';
  const wrong = digestOf(Buffer.from('nothing'));

  const bombs: [string, () => Blob & { diffId?: string }][] = [
    ['gzip of zeros', () => ({ data: gzipSync(zeros(200 * MIB)), mediaType: GZIP, diffId: wrong })],
    [
      'gzip within gzip',
      () => ({ data: gzipSync(gzipSync(zeros(200 * MIB))), mediaType: GZIP, diffId: wrong }),
    ],
    ['zstd of zeros', () => ({ data: zstdCompressSync(zeros(200 * MIB)), mediaType: ZSTD, diffId: wrong })],
    [
      'many zstd frames',
      () => ({
        data: Buffer.concat(Array.from({ length: 400 }, () => zstdCompressSync(zeros(MIB)))),
        mediaType: ZSTD,
        diffId: wrong,
      }),
    ],
    [
      'zstd frames of 64 GiB',
      () => ({
        data: Buffer.concat(Array<Buffer>(4096).fill(zstdCompressSync(zeros(16 * MIB)))),
        mediaType: ZSTD,
        diffId: wrong,
      }),
    ],
    [
      'gzip that ends early',
      () => ({ data: gzipSync(zeros(MIB)).subarray(0, 500), mediaType: GZIP, diffId: wrong }),
    ],
    [
      'gzip with rubbish behind it',
      () => ({
        data: Buffer.concat([gzipSync(zeros(MIB)), Buffer.alloc(100, 7)]),
        mediaType: GZIP,
        diffId: wrong,
      }),
    ],
    ['tar where gzip is said', () => ({ data: rawTar([file('a')]), mediaType: GZIP })],
    [
      'a tar of names of 1 MiB',
      () => ({
        data: rawTar(
          Array.from({ length: 120 }, (_, index) => [
            longName(`${index}/${'n'.repeat(MIB - 100)}`),
            file('a'),
          ]).flat(),
        ),
      }),
    ],
    [
      'a tar of deep folders',
      () => ({
        data: rawTar(
          Array.from({ length: 1_500 }, (_, index) => [
            longName(`${index}/${'d/'.repeat(2_000)}x`),
            file('a'),
          ]).flat(),
        ),
      }),
    ],
    [
      'a tar of xattrs of 1 MiB',
      () => ({
        data: rawTar(
          Array.from({ length: 120 }, (_, index) => [
            pax({ 'SCHILY.xattr.user.a': 'v'.repeat(MIB - 200) }),
            file(`f${index}`),
          ]).flat(),
        ),
      }),
    ],
    [
      'a tar of long maps of holes',
      () => {
        const map = `${[65_536, ...Array.from({ length: 65_536 }, (_, index) => `${index * 2}\n0`)].join('\n')}\n`;
        const text = Buffer.from(map);
        const padded = Buffer.concat([text, Buffer.alloc((512 - (text.length % 512)) % 512)]);
        const entries = Array.from({ length: 12 }, (_, index) => [
          pax({
            'GNU.sparse.major': '1',
            'GNU.sparse.minor': '0',
            'GNU.sparse.name': `f${index}`,
            'GNU.sparse.realsize': '200000',
          }),
          file('a', { content: padded }),
        ]);
        return { data: rawTar(entries.flat()) };
      },
    ],
    [
      'a file of 8 EiB of holes',
      () => ({
        data: rawTar([
          pax({ 'GNU.sparse.map': '', 'GNU.sparse.size': '9007199254740991' }),
          file('a', { content: Buffer.alloc(0) }),
        ]),
      }),
    ],
  ];
  test.for(bombs)('%s costs neither memory nor patience', { timeout: 130_000 }, async ([, make]) => {
    const { folder: at, isUntouched } = place();
    const outcome = await build(layout(join(at, 'image'), [make()]), at);
    expectOutcome(outcome, ['ok', 'image', 'image-refused', 'image-digest']);
    expect(isUntouched()).toBe(true);
    rmSync(join(at, '..', '..'), { recursive: true });
  });
});
