import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { checkManifest, type Manifest } from '../../protocol/manifest.ts';
import { describeTree } from '../support/file-trees.ts';
import { TestFleet } from '../support/fleet-server.ts';
import { LayerBench } from '../support/layer-images.ts';
import { releaseCommand } from '../support/release-command.ts';

const bench = new LayerBench();
afterEach(() => bench.unmountAll());
afterAll(async () => {
  await fleet.close();
  bench.destroy();
});

let fleet: TestFleet;
const env: Record<string, string> = { WHERRY_KEYS: join(bench.dir, 'keys') };
const wherry = (...argv: string[]) => releaseCommand(env, argv);

async function publish(folder: string): Promise<void> {
  const { token } = (await fleet.api('POST', '/api-tokens', { note: 'signer' })).body;
  Object.assign(env, { WHERRY_SERVER: fleet.server.url, WHERRY_TOKEN: token });
  const at = join(bench.dir, folder);
  for (const argv of [
    ['keys', 'init'],
    ['release', 'sign', at],
    ['release', 'push', at],
  ])
    expect(await wherry(...argv)).toMatchObject({ code: 0, err: '' });
}

/** Builds a release of services by their images; throws what the tool says when it refuses. */
async function build(
  images: Record<string, string>,
  out: string,
  cache = 'cache',
  boards = 'generic-amd64, generic-arm64',
): Promise<Manifest> {
  const budget = 'resources: { memory: { max: 8MiB }, cpu: { max: 0.1 }, pids: 8 }';
  const services = Object.entries(images).map(
    ([name, image]) => `  ${name}:\n    image: ${image}\n    ${budget}\n`,
  );
  const file = join(bench.dir, `${out}.yaml`);
  writeFileSync(file, `name: t\nversion: 1.0.0\nboards: [${boards}]\nservices:\n${services.join('')}`);
  const at = (name: string) => join(bench.dir, name);
  const result = await wherry('release', 'build', '-f', file, '-o', at(out), '--cache', at(cache));
  if (result.code !== 0) throw new Error(result.err);
  const checked = checkManifest(JSON.parse(readFileSync(join(at(out), 'manifest.json'), 'utf8')));
  if (!checked.ok) throw new Error(checked.faults.join());
  return checked.value;
}
const blobsOf = (manifest: Manifest, service: string) =>
  Object.values(manifest.services[service]?.images ?? {}).map((image) =>
    image?.layers.map(({ verity }) => verity),
  );

/** What an export keeps of an image beside its layers. */
const kept = ({ manifestDigest: _digest, layers: _layers, ...image }: Record<string, unknown>) => image;

const ODD = `
  mkdir -p etc a/b opaque gone/in; printf 'web:x:33:44::/:/bin/sh\\n' > etc/passwd; cp /bin/true app; setcap cap_net_raw+ep app
  echo hi > a/b/file; chown 1234:567 a/b/file; chmod 4751 a/b/file; ln a/b/file a/hard; ln -s ../nowhere a/soft
  setfattr -n user.note -v 0x00ff0a3d a/b/file; mknod a/null c 1 3; mkfifo a/pipe; touch opaque/old gone/in/x
  truncate -s 3M a/hole; printf mid | dd of=a/hole bs=1M seek=1 conv=notrunc status=none; touch -d '1950-01-01 00:00:00.25 UTC' a/null
  touch -d '2001-02-03 04:05:06.789123456 UTC' a/b/file; mkdir -p ${'n'.repeat(180)}/${'m'.repeat(180)}; echo x > ${'n'.repeat(180)}/${'m'.repeat(180)}/f`;

let layout: string;
let base: string;
beforeAll(async () => {
  fleet = await TestFleet.start();
  const own = `--os linux --config.user web --config.entrypoint /app --config.cmd --serve --config.env A=1 --config.env B=x=y --config.stopsignal SIGQUIT --config.label k=v --config.workingdir /a`;
  base = bench.tar(ODD, '--format=posix --sparse .');
  const above = bench.tar('mkdir opaque; touch opaque/.wh..wh..opq opaque/new .wh.gone; echo two > two');
  layout = bench.layout([base, above], `--architecture amd64 ${own}`);
  bench.sh(`umoci config --image ${layout}:v1 --tag arm --architecture arm64; umoci gc --layout ${layout}`);
  // One index of both platforms, as registries have it.
  const file = join(layout, 'index.json');
  const { manifests } = JSON.parse(readFileSync(file, 'utf8'));
  const platforms = manifests.map((entry: object, index: number) => ({
    ...entry,
    annotations: {},
    platform: { os: 'linux', architecture: index === 0 ? 'amd64' : 'arm64' },
  }));
  const text = JSON.stringify({ schemaVersion: 2, manifests: platforms });
  const digest = bench.sh(`printf %s '${text}' | sha256sum | cut -c1-64`).trim();
  writeFileSync(join(layout, 'blobs/sha256', digest), text);
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  const entry = { mediaType, digest: `sha256:${digest}`, size: Buffer.byteLength(text) };
  writeFileSync(file, JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
});

test('a release comes back as a multi-platform layout, and built again gives the same blobs', async () => {
  const first = await build({ app: `oci:${layout}` }, 'first');
  const to = join(bench.dir, 'exported');
  const { code, out, err } = await wherry(
    'release',
    'export-images',
    join(bench.dir, 'first'),
    '--to',
    to,
    '--json',
  );
  expect([code, err]).toEqual([0, '']);
  expect(JSON.parse(out).images).toMatchObject([{ ref: 'app', platforms: ['linux/amd64', 'linux/arm64'] }]);
  const again = await build({ app: `oci:${to}:app` }, 'again', 'other-cache');
  expect(blobsOf(again, 'app')).toEqual(blobsOf(first, 'app'));
  for (const platform of ['linux/amd64', 'linux/arm64'] as const)
    expect(kept({ ...again.services['app']?.images[platform] })).toEqual(
      kept({ ...first.services['app']?.images[platform] }),
    );
  expect(again.services['app']?.stop).toEqual(first.services['app']?.stop);
});

test('skopeo and umoci read what is exported, and find the files that the blobs show', async () => {
  const manifest = await build({ app: `oci:${layout}` }, 'read');
  const to = join(bench.dir, 'for-tools');
  await wherry('release', 'export-images', join(bench.dir, 'read'), '--to', to);
  const config = JSON.parse(bench.sh(`skopeo inspect --config --override-arch arm64 oci:${to}:app`));
  expect(config).toMatchObject({ architecture: 'arm64', os: 'linux' });
  expect(config.config).toMatchObject({
    Entrypoint: ['/app', '--serve'],
    User: '33:44',
    WorkingDir: '/a',
    StopSignal: 'SIGQUIT',
  });
  expect(config.config.Env).toEqual(expect.arrayContaining(['A=1', 'B=x=y']));
  bench.sh(
    `skopeo copy -q --all oci:${to}:app oci:copy:app; skopeo copy -q oci:${to}:app-linux-amd64 docker-archive:out.tar:t:1`,
  );
  const layers = manifest.services['app']?.images['linux/amd64']?.layers ?? [];
  const mounted = describeTree(bench.mount(layers));
  expect(describeTree(bench.unpack(to, 'app-linux-amd64'))).toEqual(mounted);
  expect(mounted['app']).toContain('security.capability');
  expect(Object.keys(mounted)).not.toContain('gone');
});

test('a docker-archive that skopeo wrote gives the same blobs as the layout', async () => {
  const archive = `${bench.folder()}.tar`;
  const from = `${bench.layout([base], '--os linux --architecture amd64 --config.entrypoint /app --config.user 1:1')}:v1`;
  bench.sh(`skopeo copy -q oci:${from} docker-archive:${archive}:t:1`);
  const images = { layout: `oci:${from}`, archive: `docker-archive:${archive}` };
  const manifest = await build(images, 'archived', 'cache', 'generic-amd64');
  expect(blobsOf(manifest, 'archive')).toEqual(blobsOf(manifest, 'layout'));
});

test('services on one base share its blobs in the release folder and on the server', async () => {
  const own = '--os linux --config.entrypoint /app --config.user 1:1';
  const layouts = ['one', 'two'].map((name) => {
    const made = bench.layout([base, bench.tar(`echo ${name} > ${name}`)], `--architecture amd64 ${own}`);
    bench.sh(`umoci config --image ${made}:v1 --tag arm --architecture arm64; umoci gc --layout ${made}`);
    return `oci:${made}`;
  });
  const manifest = await build({ one: layouts[0] ?? '', two: layouts[1] ?? '' }, 'shared');
  const [[one] = [], [two] = []] = [blobsOf(manifest, 'one'), blobsOf(manifest, 'two')];
  expect(one?.[0]).toBe(two?.[0]);
  expect(one?.[1]).not.toBe(two?.[1]);
  const files = bench.sh('ls shared/blobs').trim().split('\n');
  expect(files).toHaveLength(3);
  await publish('shared');
  const stored = bench.sh(`find ${fleet.dataDir} -type f -name 'blob-*'`).trim().split('\n');
  expect(stored.map((path) => path.replace(/.*blob-/, '').slice(0, 64)).sort()).toEqual(
    files.map((file) => file.slice(0, 64)).sort(),
  );
  // The cache and the folder are one file, too.
  expect(statSync(join(bench.dir, 'shared/blobs', files[0] ?? '')).nlink).toBeGreaterThan(1);
});

test('a changed blob is not exported, and a folder that holds something is not written to', async () => {
  const manifest = await build({ app: `oci:${layout}` }, 'spoiled');
  const [[verity] = []] = blobsOf(manifest, 'app') as string[][];
  const blob = `spoiled/blobs/${verity}.erofs`;
  bench.sh(
    `cp ${blob} b; rm ${blob}; mv b ${blob}; printf x | dd of=${blob} bs=1 seek=5000 conv=notrunc status=none`,
  );
  const to = (name: string) =>
    wherry('release', 'export-images', join(bench.dir, 'spoiled'), '--to', join(bench.dir, name));
  expect(await to('never')).toMatchObject({
    code: 1,
    err: expect.stringContaining('does not hold what its digest says'),
  });
  expect(await to('spoiled')).toMatchObject({ code: 1, err: expect.stringContaining('it is not empty') });
  expect((await wherry('release', 'export-images', join(bench.dir, 'spoiled'))).code).toBe(2);
});

test('a build needs no root', async () => {
  bench.sh(
    `cp -r ${layout} plain-oci; chmod -R a+rX ${bench.dir}; mkdir home; chown -R 65534:65534 home plain-oci`,
  );
  const expected = await build({ app: `oci:${layout}` }, 'as-root');
  const yaml = readFileSync(join(bench.dir, 'as-root.yaml'), 'utf8').replace(
    layout,
    join(bench.dir, 'plain-oci'),
  );
  writeFileSync(join(bench.dir, 'home/release.yaml'), yaml);
  const script = `import('${join(import.meta.dirname, '../../release/cli.ts')}').then(async ({ runReleaseCommand }) => {
    process.exitCode = await runReleaseCommand(['release', 'build', '-f', 'release.yaml', '-o', 'out'], { stdout: process.stdout, stderr: process.stderr, env: {} }); })`;
  writeFileSync(join(bench.dir, 'home/build.mjs'), script);
  bench.sh(
    `setpriv --reuid 65534 --regid 65534 --clear-groups ${process.execPath} build.mjs`,
    join(bench.dir, 'home'),
  );
  const built = JSON.parse(readFileSync(join(bench.dir, 'home/out/manifest.json'), 'utf8')) as Manifest;
  expect(blobsOf(built, 'app')).toEqual(blobsOf(expected, 'app'));
});
