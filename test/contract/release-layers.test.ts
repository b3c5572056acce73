import { execFileSync } from 'node:child_process';
import {
  createReadStream,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { sha256Hex } from '../../protocol/canonical.ts';
import { type ConvertedLayer, LayerCache } from '../../release/layer/convert.ts';

const dir = mkdtempSync(join(tmpdir(), 'wherry-layers-'));
const mounted: string[] = [];
const sh = (script: string, cwd = dir): string =>
  execFileSync('sh', ['-ec', script], { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

afterEach(() => {
  for (const path of mounted.splice(0).reverse()) execFileSync('umount', [path]);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let count = 0;
/** Makes a layer tar by a shell script run in an empty folder, and converts it. */
async function convert(
  script: string,
  cacheDir = join(dir, 'cache'),
  tarArgs = '.',
  below: ConvertedLayer[] = [],
): Promise<ConvertedLayer> {
  const work = join(dir, `tree-${count++}`);
  mkdirSync(work);
  sh(script, work);
  sh(`tar --xattrs --xattrs-include='*' --format=posix -cf ${work}.tar -C ${work} ${tarArgs}`);
  return convertTar(`${work}.tar`, cacheDir, below);
}

function convertTar(
  file: string,
  cacheDir = join(dir, 'cache'),
  below: ConvertedLayer[] = [],
): Promise<ConvertedLayer> {
  const diffId = sha256Hex(readFileSync(file));
  return new LayerCache(cacheDir).convert({ diffId, open: () => createReadStream(file) }, below);
}

/** Mounts the layers, lowest first, and gives the merged root. */
function mountLayers(...layers: ConvertedLayer[]): string {
  const lowers = layers.map(({ verity }) => {
    const at = mkdtempSync(join(dir, 'lower-'));
    execFileSync('mount', ['-t', 'erofs', '-o', 'loop,ro', join(dir, 'cache', `${verity}.erofs`), at]);
    mounted.push(at);
    return at;
  });
  if (lowers.length === 1) return lowers[0] ?? '';
  const merged = mkdtempSync(join(dir, 'merged-'));
  execFileSync('mount', [
    '-t',
    'overlay',
    'overlay',
    '-o',
    `ro,lowerdir=${lowers.reverse().join(':')}`,
    merged,
  ]);
  mounted.push(merged);
  return merged;
}

const LONG = `${'long-name-'.repeat(20)}end`;

test('a layer keeps links, owners, modes, times, xattrs, capabilities, devices, holes and long names', async () => {
  const root = mountLayers(
    await convert(`
      mkdir -p a/b; echo hi > a/b/file; chown 1234:567 a/b/file; chmod 4751 a/b/file
      ln a/b/file a/hard; ln -s ../nowhere a/soft; ln -s /etc/shadow a/absolute
      cp /bin/true a/ping; setcap cap_net_raw+ep a/ping; setfattr -n user.note -v hello a/b/file
      mknod a/null c 1 3; mkfifo a/pipe; truncate -s 3M a/hole; printf x >> a/hole
      mkdir -p ${LONG}/${LONG}; echo deep > ${LONG}/${LONG}/f; touch "a/sp ace" "$(printf 'a/\\303\\244')"
      touch -d '2001-02-03 04:05:06.789 UTC' a/b/file; chmod 1777 a/b; touch -d @1000 a/b a`),
  );
  const file = lstatSync(join(root, 'a/b/file'));
  expect([file.uid, file.gid, file.mode & 0o7777, file.nlink, file.mtimeMs]).toEqual([
    1234, 567, 0o4751, 2, 981173106789,
  ]);
  expect(lstatSync(join(root, 'a/hard')).ino).toBe(file.ino);
  expect(
    sh(`readlink a/soft a/absolute; getcap a/ping; getfattr -n user.note --only-values a/b/file`, root),
  ).toBe('../nowhere\n/etc/shadow\na/ping cap_net_raw=ep\nhello');
  expect(
    sh(
      `stat -c '%F %t:%T' a/null; stat -c %F a/pipe; stat -c %s a/hole; ls a/sp* a/ä; stat -c '%a %Y' a/b`,
      root,
    ),
  ).toBe('character special file 1:3\nfifo\n3145729\na/sp ace\na/ä\n1777 1000\n');
  expect(readFileSync(join(root, LONG, LONG, 'f'), 'utf8')).toBe('deep\n');
});

test('whiteouts hide single paths, opaque folders all that lies below, and the folders keep their times', async () => {
  const below = await convert(
    'mkdir -p keep gone opaque replaced; touch keep/a keep/b gone/x opaque/old replaced/old file',
  );
  const script = `
    mkdir -p keep opaque replaced; touch keep/.wh.a .wh.gone opaque/.wh..wh..opq opaque/new .wh.replaced replaced/new
    touch .wh.file; echo new > file; chmod 750 opaque; chown 7:8 opaque; touch -d @2000 keep opaque`;
  const above = await convert(script, undefined, undefined, [below]);
  const root = mountLayers(below, above);
  expect(sh('find . -mindepth 1 | sort', root).split('\n')).toEqual([
    './file',
    './keep',
    './keep/b',
    './opaque',
    './opaque/new',
    './replaced',
    './replaced/new',
    '',
  ]);
  expect(sh(`stat -c '%n %a %u:%g %Y' opaque; stat -c %Y keep; cat file`, root)).toBe(
    'opaque 750 7:8 2000\n2000\nnew\n',
  );
});

test('folders that the tar does not describe are plain and have no time of their own', async () => {
  const root = mountLayers(await convert('mkdir -p x/y; touch -d @5 x/y/z', undefined, 'x/y/z'));
  expect(sh(`stat -c '%n %a %u:%g %Y' x x/y .`, root)).toBe('x 755 0:0 0\nx/y 755 0:0 0\n. 755 0:0 0\n');
});

test('overlayfs control xattrs of the tar are not taken', async () => {
  const layer = await convert('mkdir d; setfattr -n trusted.overlay.redirect -v /elsewhere d');
  expect(sh('getfattr -d -m - d', mountLayers(layer))).toBe('');
});

test('the same layer gives the same bytes, wherever and after whatever it is converted', async () => {
  const script =
    'mkdir -p d e; for i in $(seq 200); do echo $i > d/$i; done; ln d/1 e/hard; setfattr -n user.a -v b d/2; touch d/.wh.9 e/.wh..wh..opq';
  const first = await convert(script);
  const tar = join(dir, `tree-${count - 1}.tar`);
  await convert('touch other', join(dir, 'second'));
  const again = await convertTar(tar, join(dir, 'second'));
  expect(again).toEqual(first);
  expect(
    sh(
      `cmp cache/${first.verity}.erofs second/${first.verity}.erofs; fsverity digest --compact cache/${first.verity}.erofs`,
    ).trim(),
  ).toBe(first.verity);
});

test('a known layer is not converted again', async () => {
  const script = 'echo same > f; touch -d @1 f .';
  expect(await convert(script)).toMatchObject({ isNew: true });
  const tar = join(dir, `tree-${count - 1}.tar`);
  expect(await convertTar(tar)).toMatchObject({ isNew: false });
});

test('entries that would leave the image are refused by name', async () => {
  writeFileSync(join(dir, 'f'), 'x');
  sh(
    'tar -P --transform "s#^f#../../escape#" -cf climb.tar f; tar -P --transform "s#^f#/escape#" -cf absolute.tar f',
  );
  await expect(convertTar(join(dir, 'climb.tar'))).rejects.toThrow('"../../escape" climbs with ".."');
  await expect(convertTar(join(dir, 'absolute.tar'))).rejects.toThrow('"/escape" is an absolute path');
});

test('a file cannot be written through a link that leads out', async () => {
  sh(
    'mkdir out t1 t2; ln -s $PWD/out t1/link; mkdir t2/link; touch t2/link/evil; tar -cf link.tar -C t1 link; tar -rf link.tar -C t2 link/evil',
  );
  await expect(convertTar(join(dir, 'link.tar'))).rejects.toThrow('Cannot take layer');
  expect(sh('ls out')).toBe('');
});

test('a tar that is not its diffID is refused before anything of it is unpacked', async () => {
  sh('tar -cf some.tar f');
  const layer = { diffId: '0'.repeat(64), open: () => createReadStream(join(dir, 'some.tar')) };
  await expect(new LayerCache(join(dir, 'cache')).convert(layer)).rejects.toThrow('wanted its diffID');
});
