import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { describeTree } from '../support/file-trees.ts';
import { LayerBench } from '../support/layer-images.ts';

/** What umoci unpacks is the reference: path by path, the mounted blobs must show the same. */
const bench = new LayerBench();
afterEach(() => bench.unmountAll());
afterAll(() => bench.destroy());

async function expectLikeUmoci(...tars: string[]): Promise<Record<string, string>> {
  const mounted = describeTree(await bench.mountTars(...tars));
  expect(mounted).toEqual(describeTree(bench.unpack(bench.layout(tars))));
  return mounted;
}

const LONG = 'n'.repeat(200);
const EVERYTHING = `
  mkdir -p a/b c; echo hi > a/b/file; chown 1234:567 a/b/file; chmod 4751 a/b/file; chmod 2775 c
  ln a/b/file c/hard; ln -s ../nowhere a/soft; ln -s /etc/shadow a/absolute; ln -s $(printf 'x%.0s' {1..300}) a/longlink
  cp /bin/true a/ping; setcap cap_net_raw+ep a/ping; setfattr -n user.note -v hello a/b/file; setfattr -n user.dir -v d c
  setfattr -n user.big -v 0x$(printf '00ff%.0s' {1..1200}) a/b/file
  mknod a/null c 1 3; mknod a/loop b 7 300; mkfifo a/pipe; chown 70000:4294967293 a/pipe; truncate -s 3M a/hole; printf x >> a/hole
  mkdir -p ${LONG}/${LONG}; echo deep > ${LONG}/${LONG}/f; ln ${LONG}/${LONG}/f ${LONG}/${LONG}h; touch "a/sp ace" "$(printf 'a/\\377\\304')"
  touch -d '2001-02-03 04:05:06.789123456 UTC' a/b/file; touch -d '1950-01-01 00:00:00.25 UTC' a/soft -h; touch -d '1950-01-01 00:00:00.25 UTC' c/old
  ln -P a/soft c/soft; ln a/null c/null; touch a/acl
  setfattr -n system.posix_acl_access -v 0x0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000400ffffffff a/acl
  for i in $(seq 400); do echo $i > c/$i-${'x'.repeat(20)}; done; touch ./-dash ./!bang; chmod 1777 a/b`;

test.each([
  ['pax', '--format=posix .'],
  ['GNU', '--format=gnu .'],
])('a %s tar keeps owners, modes, times, xattrs, capabilities, devices, links and long names', async (_, args) => {
  const tree = await expectLikeUmoci(bench.tar(EVERYTHING, args));
  expect(tree['c/hard']).toContain('is a/b/file links 2');
  expect(tree['a/null']).toContain(`char 644 0:0 device ${(1 << 8) | 3}`);
  expect(tree['a/pipe']).toContain('fifo 644 70000:4294967293');
  expect(tree[`${LONG}/${LONG}h`]).toContain(`is ${LONG}/${LONG}/f`);
  if (!args.includes('posix')) return;
  expect(tree['a/ping']).toContain('security.capability=0x');
  expect(tree['a/acl']).toContain('system.posix_acl_access=0x02');
});

test.each([
  ['old GNU', '--format=gnu --sparse'],
  ['GNU 0.0', '--format=posix --sparse --sparse-version=0.0'],
  ['GNU 0.1', '--format=posix --sparse --sparse-version=0.1'],
  ['GNU 1.0', '--format=posix --sparse --sparse-version=1.0'],
])('a sparse file of the form "%s" has its holes, and they take no room', async (form, args) => {
  const name = `d/${'s'.repeat(120)}`;
  const tar = bench.tar(
    `mkdir d; truncate -s 40M ${name}; for at in $(seq 1 3 90); do printf "data at $at" | dd of=${name} bs=100K seek=$at conv=notrunc status=none; done
     printf end >> ${name}; truncate -s 1M d/empty; printf 'not sparse' > d/last`,
    `${args} .`,
  );
  const mounted = describeTree(await bench.mountTars(tar));
  // umoci does not know the old form; GNU tar does.
  expect(mounted).toEqual(
    describeTree(form === 'old GNU' ? bench.extract(tar) : bench.unpack(bench.layout([tar]))),
  );
  expect(mounted[name]).toContain(`file 644 0:0 ${40 * 1024 ** 2 + 3} `);
  expect((await bench.convert(tar)).size).toBeLessThan(1024 ** 2);
});

test('whiteouts and opaque folders hide what is below, whatever stands in their place', async () => {
  const below = bench.tar(`
    mkdir -p keep gone opaque/deep replaced tolink fromlink/x d/e/f; touch keep/a keep/b gone/x opaque/old opaque/deep/old
    touch replaced/old tolink/inside file tofolder fromlink/x/y d/e/f/g; ln -s keep link; ln -s gone linkgone`);
  const above = bench.tar(`
    mkdir -p keep opaque/deep replaced tofolder link d/e/f; touch keep/.wh.a .wh.gone opaque/.wh..wh..opq opaque/new opaque/deep/new
    touch .wh.replaced replaced/new .wh.file; echo new > file; touch .wh.tolink; ln -s keep tolink; 
    echo f > fromlink; touch tofolder/in link/in .wh.linkgone d/e/f/.wh.g keep/.wh.notthere .wh.neither; chmod 750 opaque; chown 7:8 opaque`);
  const again = bench.tar(
    `mkdir -p fromlink gone tolink; mkdir keep; touch fromlink/folder gone/back .wh.tolink tolink/z keep/a`,
  );
  const tree = await expectLikeUmoci(below, above, again);
  expect(Object.keys(tree)).toEqual(
    expect.arrayContaining(['gone/back', 'keep/a', 'tolink/z', 'fromlink/folder']),
  );
  expect(Object.keys(tree)).not.toEqual(expect.arrayContaining(['gone/x']));
});

test('a whiteout of what is not there shows nothing, also in a folder that only its layer has', async () => {
  const only = bench.tar('mkdir new; touch new/.wh.nothing new/file .wh.root');
  expect(Object.keys(await expectLikeUmoci(only))).toEqual(['.', 'new', 'new/file']);
  const upper = bench.tar('mkdir -p up/deep; touch up/.wh.nothing up/deep/.wh.x up/deep/y');
  await expectLikeUmoci(only, upper);
});

test('a link has the mode that Linux gives it, whatever the tar says', async () => {
  const tar = bench.tar('ln -s nowhere link', '--format=posix --mode=640 .');
  expect((await expectLikeUmoci(tar))['link']).toContain('symlink 777');
});

test('an opaque root hides all that is below', async () => {
  const below = bench.tar('mkdir -p etc old/deep; touch etc/old old/deep/f file; ln -s old link');
  const above = bench.tar('mkdir etc new; touch .wh..wh..opq etc/new new/f');
  const tree = await expectLikeUmoci(below, above);
  expect(Object.keys(tree)).toEqual(['.', 'etc', 'etc/new', 'new', 'new/f']);
});

test('a later entry takes the place of an earlier one, and a folder keeps what it holds', async () => {
  const [one, two] = [bench.folder(), bench.folder()];
  bench.sh('mkdir d e; echo 1 > d/f; echo 1 > e/gone; echo x > x; ln -s d l', one);
  bench.sh('mkdir d l; echo 2 > d/g; chmod 700 d; echo now-file > e; echo 2 > x; touch l/in', two);
  bench.sh(`tar -cf both.tar -C ${one} . ; tar -rf both.tar -C ${two} .`);
  const tree = await expectLikeUmoci(join(bench.dir, 'both.tar'));
  expect(Object.keys(tree)).toEqual(['.', 'd', 'd/f', 'd/g', 'e', 'l', 'l/in', 'x']);
});

test('the image is what fsck.erofs takes', async () => {
  const layer = await bench.convert(bench.tar(`${EVERYTHING}; rm a/longlink`));
  expect(() => bench.sh(`fsck.erofs cache/${layer.verity}.erofs`)).not.toThrow();
});

test('nothing that a layer says of itself makes a file outside it', async () => {
  writeFileSync(join(bench.dir, 'f'), 'x');
  bench.sh('tar -P --transform "s#^f#a/../../escape#" -cf climb.tar f');
  await expect(bench.convert(join(bench.dir, 'climb.tar'))).rejects.toThrow('climbs with ".."');
  expect(readFileSync(join(bench.dir, 'f'), 'utf8')).toBe('x');
});

test('a folder that an upper tar does not describe keeps what the layers below say of it', async () => {
  const below = bench.tar(
    'mkdir -p tmp/in; chmod 1777 tmp; chown 5:6 tmp/in; setfattr -n user.a -v b tmp/in; touch tmp/in/below',
  );
  const above = bench.tar(
    'mkdir -p tmp/in new; touch tmp/in/above new/f',
    '--format=posix tmp/in/above new/f',
  );
  const tree = await expectLikeUmoci(below, above);
  expect(tree['tmp']).toContain('dir 1777 0:0');
  expect(tree['tmp/in']).toContain('dir 755 5:6');
});

test('a file below what is a link in the layers below is refused by name', async () => {
  const lower = await bench.convert(bench.tar('mkdir usr; ln -s usr bin'));
  const upper = bench.tar('mkdir bin; touch bin/new', '--format=posix bin/new');
  await expect(bench.convert(upper, [lower])).rejects.toThrow(
    'puts files below "bin", which is a symlink in the layers below',
  );
});
