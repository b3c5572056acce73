import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sha256Hex } from '../../protocol/canonical.ts';
import { checkManifest } from '../../protocol/manifest.ts';
import { tufKeyOf } from '../../protocol/tuf.ts';
import { runReleaseCommand } from '../../release/cli.ts';
import { initKeys, type PublicKey } from '../../release/keys.ts';
import { pushRelease } from '../../release/push.ts';

const dir = mkdtempSync(join(tmpdir(), 'wherry-release-'));
const BOARDS = join(import.meta.dirname, '../../board-configs');
const sh = (script: string): string =>
  execFileSync('sh', ['-ec', script], { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

const sink = (to: string[]) => new Writable({ write: (data, _, done) => (to.push(String(data)), done()) });
async function wherry(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err] = [[] as string[], [] as string[]];
  const code = await runReleaseCommand(argv, { stdout: sink(out), stderr: sink(err), env: {} });
  return { code, out: out.join(''), err: err.join('') };
}

interface Wish {
  image?: string;
  version?: string;
  extra?: string;
  memory?: string;
}
/** Writes a release.yaml of one service and builds it. */
function build(
  { image = 'oci:image', version = '1.0.0', extra = '', memory = '8MiB' }: Wish = {},
  out = 'out',
) {
  const text = `name: t\nversion: ${version}\nboards: [generic-amd64]\nservices:\n  app:\n    image: ${image}\n    resources: { memory: { max: ${memory} }, cpu: { max: 0.5 }, pids: 8 }\n${extra}`;
  writeFileSync(join(dir, 'release.yaml'), text);
  return wherry(
    'release',
    'build',
    '-f',
    join(dir, 'release.yaml'),
    '-o',
    join(dir, out),
    '--boards',
    BOARDS,
    '--cache',
    join(dir, 'cache'),
  );
}
const manifestOf = (out: string) => {
  const checked = checkManifest(JSON.parse(readFileSync(join(dir, out, 'manifest.json'), 'utf8')));
  if (!checked.ok) throw new Error(checked.faults.join());
  return checked.value;
};
const layersOf = (out: string) => manifestOf(out).services['app']?.images['linux/amd64']?.layers;
const publicKey = () => tufKeyOf(generateKeyPairSync('ed25519').privateKey).toJSON() as unknown as PublicKey;
interface Forged {
  config: object;
  layers: object[];
}
/** Changes a copied layout's one manifest, with all digests made right again. */
function forge(copy: string, change: (manifest: Forged) => void): void {
  sh(`rm -rf ${copy}; cp -r image ${copy}`);
  const blob = (digest: string) => join(dir, copy, 'blobs/sha256', digest.slice(7));
  const indexFile = join(dir, copy, 'index.json');
  const index = JSON.parse(readFileSync(indexFile, 'utf8'));
  const manifest = JSON.parse(readFileSync(blob(index.manifests[0].digest), 'utf8'));
  change(manifest);
  const text = JSON.stringify(manifest);
  Object.assign(index.manifests[0], { digest: `sha256:${sha256Hex(text)}`, size: text.length });
  writeFileSync(blob(index.manifests[0].digest), text);
  writeFileSync(indexFile, JSON.stringify(index));
}

beforeAll(() => {
  sh(`mkdir -p root/etc root/bin; printf 'web:x:33:44::/:/bin/sh\\n' > root/etc/passwd; cp /bin/true root/bin/app
    tar -C root -cf root.tar .
    umoci init --layout image; umoci new --image image:v1; umoci raw add-layer --image image:v1 root.tar
    umoci config --image image:v1 --architecture amd64 --os linux --config.user web --config.entrypoint /bin/app --config.cmd --serve --config.env A=1 --config.stopsignal SIGQUIT
    umoci gc --layout image; skopeo copy -q oci:image:v1 docker-archive:image.tar:t:v1`);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('a release takes configuration, user and stop signal from its image, and its own words win', async () => {
  expect((await build({ extra: '    command: [--other]\n    environment: { B: "2" }\n' })).err).toBe('');
  const service = manifestOf('out').services['app'];
  expect(service?.images['linux/amd64']).toMatchObject({
    args: ['/bin/app', '--other'],
    environment: { A: '1', B: '2', PATH: expect.stringContaining('/usr/bin') },
    uid: 33,
    gid: 44,
    workingDir: '/',
  });
  expect(service?.stop).toEqual({ signal: 'SIGQUIT', graceMs: 10_000 });
  const [layer] = service?.images['linux/amd64']?.layers ?? [];
  expect(statSync(join(dir, 'out/blobs', `${layer?.verity}.erofs`)).size).toBe(layer?.size);
});

test('a release may bring its agent, which inspect shows and whose blobs it has', async () => {
  const extra = 'agent: { image: "oci:image", version: 2.1.0 }\n';
  expect((await build({ extra }, 'with-agent')).err).toBe('');
  const { agent } = manifestOf('with-agent');
  expect(agent).toMatchObject({ version: '2.1.0' });
  expect(agent?.images['linux/amd64']?.layers).toEqual(layersOf('with-agent'));
  const { out } = await wherry('release', 'inspect', join(dir, 'with-agent'));
  expect(out).toMatch(/^agent +2\.1\.0$/m);
  expect(out).toMatch(/all there, digests hold/);
  const bare = await build({ extra: 'agent: { image: "oci:image" }\n' }, 'bare');
  expect(bare.err).toContain('version');
});

const systemIn = (folder: string, board = 'generic-amd64') =>
  `system: { version: 1.4.0, boards: { ${board}: ${folder} } }\n`;

test('a release may bring the system of its boards, from what a board’s build has left', async () => {
  const board = (name: string, boot: number, root: number) => {
    mkdirSync(join(dir, name), { recursive: true });
    writeFileSync(join(dir, name, 'boot.img'), Buffer.alloc(boot, name));
    writeFileSync(join(dir, name, 'root.erofs'), Buffer.alloc(root, name));
  };
  board('built', 1_048_576, 4_194_304);
  expect((await build({ extra: systemIn('built') }, 'with-system')).err).toBe('');
  const { system } = manifestOf('with-system');
  const { boot, root } = system?.boards['generic-amd64'] ?? {};
  expect([system?.version, boot?.size, root?.size]).toEqual(['1.4.0', 1_048_576, 4_194_304]);
  for (const [blob, file] of [
    [boot, 'boot.img'],
    [root, 'root.erofs'],
  ] as const)
    expect(readFileSync(join(dir, 'with-system/blobs', `${blob?.verity}.erofs`))).toEqual(
      readFileSync(join(dir, 'built', file)),
    );
  const { out } = await wherry('release', 'inspect', join(dir, 'with-system'));
  expect(out).toMatch(/^system +1\.4\.0: generic-amd64 5 MiB$/m);
  expect(out).toMatch(/all there, digests hold/);
  board('odd', 1_048_577, 4_194_304);
  expect((await build({ extra: systemIn('odd') }, 'refused')).err).toContain('whole sectors');
  board('large', 65 * 1024 ** 2, 4_194_304);
  expect((await build({ extra: systemIn('large') }, 'refused')).err).toContain(
    'a slot of a board has room for 64 MiB',
  );
  expect((await build({ extra: systemIn('absent') }, 'refused')).err).toContain(
    '`wherry board build generic-amd64`',
  );
  const elsewhere = await build({ extra: systemIn('built', 'raspberry-pi-4') }, 'refused');
  expect(elsewhere.err).toContain('system.boards.raspberry-pi-4: the release is not for this board');
});

test('a docker-archive gives the same layers as the layout it was made from', async () => {
  await build({}, 'from-oci');
  expect((await build({ image: 'docker-archive:image.tar:v1' }, 'from-docker')).code).toBe(0);
  expect(layersOf('from-docker')).toEqual(layersOf('from-oci'));
});

test.each([
  [
    'a foreign layer',
    (m: Forged) =>
      Object.assign(m.layers[0] ?? {}, {
        mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
      }),
    'foreign layer',
  ],
  [
    'an encrypted layer',
    (m: Forged) =>
      Object.assign(m.layers[0] ?? {}, {
        mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip+encrypted',
      }),
    'is encrypted',
  ],
  [
    'an artifact',
    (m: Forged) => Object.assign(m.config, { mediaType: 'application/vnd.oci.empty.v1+json' }),
    'is an artifact',
  ],
  ['schema 1', (m: Forged) => Object.assign(m, { schemaVersion: 1 }), 'schema 1'],
])('%s is refused by name', async (_, change, message) => {
  forge('forged', change);
  const { code, err } = await build({ image: 'oci:forged' });
  expect([code, err]).toEqual([4, expect.stringContaining(message)]);
});

test('a changed blob, a missing platform and a missing ref are refused', async () => {
  sh(
    'rm -rf broken; cp -r image broken; big=$(ls -S broken/blobs/sha256 | head -1); printf x >> broken/blobs/sha256/$big; rm -rf cache',
  );
  expect(await build({ image: 'oci:broken' })).toMatchObject({
    code: 4,
    err: expect.stringContaining('Cannot trust image'),
  });
  sh('rm -rf arm; cp -r image arm; umoci config --image arm:v1 --architecture arm64');
  expect((await build({ image: 'oci:arm:v1' })).err).toContain('it has no linux/amd64; it has linux/arm64');
  expect((await build({ image: 'oci:image:v9' })).err).toContain(
    'it has no ref "v9"; name one of its refs: v1',
  );
});

test('budgets beyond the board are refused with a table, and root without leave', async () => {
  const { code, err } = await build({ memory: '3GiB' });
  expect(code).toBe(4);
  expect(err).toMatch(/does not fit board generic-amd64[^]*service app +3 GiB[^]*board has +2 GiB/);
  expect(await build({ extra: '    user: "0:0"\n' })).toMatchObject({
    code: 4,
    err: expect.stringContaining('run as root'),
  });
});

test('inspect shows what a service asks for beyond image and budget', async () => {
  const extra = `    network: host
    criticality: high
    health: { tcp: { port: 80 }, whenUnhealthy: report }
    secrets: [{ name: token }]
    security: { capabilities: [CAP_NET_RAW] }
`;
  expect((await build({ extra }, 'asking')).err).toBe('');
  const { out } = await wherry('release', 'inspect', join(dir, 'asking'));
  for (const words of [
    'holds the capability CAP_NET_RAW',
    'shares the network of the host',
    'tcp port 80; every 10 s within 3 s, 3 failures then reports it',
    'token at /run/secrets/token',
  ])
    expect(out).toContain(words);
  const json = JSON.parse((await wherry('release', 'inspect', join(dir, 'asking'), '--json')).out);
  expect(json.services[0]).toMatchObject({
    criticality: 'high',
    health: { check: { kind: 'tcp', port: 80 } },
  });
});

test('a signed release inspects as good, and as bad once a byte changed', async () => {
  const keysDir = join(dir, 'keys');
  await initKeys({ keysDir, onlineKeys: { snapshot: publicKey(), timestamp: publicKey() } });
  expect(statSync(join(keysDir, 'targets.pem')).mode & 0o777).toBe(0o600);
  await build({}, 'signed');
  const folder = join(dir, 'signed');
  const sign = () => wherry('release', 'sign', folder, '--keys', keysDir, '--json');
  expect(JSON.parse((await sign()).out)).toMatchObject({ targetsVersion: 1, isNew: true });
  expect(JSON.parse((await sign()).out)).toMatchObject({ targetsVersion: 1, isNew: false });
  const good = await wherry('release', 'inspect', folder, '--json');
  expect([good.code, JSON.parse(good.out).signature.state]).toEqual([0, 'good']);

  await build({ memory: '9MiB' }, 'signed');
  expect(await wherry('release', 'inspect', folder)).toMatchObject({
    code: 4,
    out: expect.stringContaining('BAD: manifest.json is not the one'),
  });
  expect(await sign()).toMatchObject({ code: 4, err: expect.stringContaining('raise the version') });

  await build({ version: '2.0.0', memory: '9MiB' }, 'signed');
  expect(JSON.parse((await sign()).out)).toMatchObject({ targetsVersion: 2 });
  const layer = manifestOf('signed').services['app']?.images['linux/amd64']?.layers[0]?.verity;
  sh(
    `cp signed/blobs/${layer}.erofs b; rm signed/blobs/${layer}.erofs; mv b signed/blobs/${layer}.erofs; printf x | dd of=signed/blobs/${layer}.erofs bs=1 seek=5000 conv=notrunc status=none`,
  );
  expect((await wherry('release', 'inspect', folder)).out).toContain('does not hold what its digest says');
  const targets = join(folder, 'metadata/targets.json');
  writeFileSync(targets, readFileSync(targets, 'utf8').replace('"length": ', '"length": 1'));
  expect((await wherry('release', 'inspect', folder)).out).toContain('BAD: Cannot trust targets.json');
  expect((await wherry('release', 'inspect')).code).toBe(2);
});

test('a push sends what the server lacks, once, and shows its refusal', async () => {
  const keysDir = join(dir, 'push-keys');
  await initKeys({ keysDir, onlineKeys: { snapshot: publicKey(), timestamp: publicKey() } });
  await build({}, 'pushed');
  const folder = join(dir, 'pushed');
  await wherry('release', 'sign', folder, '--keys', keysDir);
  const stored = new Map<string, Buffer>();
  let refuse = false;
  const server = createServer(async (request, response) => {
    const name = request.url?.split('/').at(-1) ?? '';
    if (request.method === 'HEAD') return response.writeHead(stored.has(name) ? 200 : 404).end();
    const body = Buffer.concat(await request.toArray());
    if (
      Number(request.headers['content-length']) !== body.length ||
      request.headers.authorization !== 'Bearer tok'
    )
      return response.writeHead(400).end();
    if (request.method === 'PUT') stored.set(name, body);
    if (refuse)
      return response
        .writeHead(422, { 'content-type': 'application/problem+json' })
        .end('{"code":"release.bad","detail":"no"}');
    return response.writeHead(201, { 'content-type': 'application/json' }).end('{"id":"r1"}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const push = () => pushRelease({ dir: folder, server: url, token: 'tok' });
    expect(await push()).toMatchObject({ id: 'r1', sentObjects: 2 });
    const sent = readFileSync(join(folder, 'manifest.json'));
    expect(stored.get(`manifest-${sha256Hex(sent)}`)).toEqual(sent);
    expect(await push()).toMatchObject({ id: 'r1', sentObjects: 0 });
    refuse = true;
    expect(await wherry('release', 'push', folder, '--server', url, '--token', 'tok')).toMatchObject({
      code: 4,
      err: expect.stringContaining('no (release.bad)'),
    });
  } finally {
    server.close();
  }
});
