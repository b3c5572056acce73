import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Bundle, checkBundle } from '../../protocol/bundle.ts';
import { runReleaseCommand } from '../../release/cli.ts';
import { TestFleet } from '../support/fleet-server.ts';
import { startUpdateBench } from '../support/update-bench.ts';

const dir = mkdtempSync(join(tmpdir(), 'wherry-export-'));
const at = (name: string) => join(dir, name);
const DAY_MS = 86_400_000;
let fleet: TestFleet;
let env: Record<string, string>;

const sink = (to: string[]) => new Writable({ write: (data, _, done) => (to.push(String(data)), done()) });
async function wherry(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err] = [[] as string[], [] as string[]];
  const code = await runReleaseCommand(argv, { stdout: sink(out), stderr: sink(err), env });
  return { code, out: out.join(''), err: err.join('') };
}

/** One layer that all versions share and one of their own. */
async function publish(version: string): Promise<void> {
  const script = `rm -rf image; mkdir -p base top/etc; head -c 300000 /dev/zero > base/big; cp /bin/true base/app
    echo ${version} > top/etc/version; tar -C base --mtime=@0 -cf base.tar .; tar -C top --mtime=@0 -cf top.tar .
    umoci init --layout image; umoci new --image image:v1; umoci raw add-layer --image image:v1 base.tar
    umoci raw add-layer --image image:v1 top.tar
    umoci config --image image:v1 --architecture amd64 --os linux --config.user 33:33 --config.entrypoint /app
    umoci gc --layout image`;
  execFileSync('sh', ['-ec', script], { cwd: dir, stdio: 'pipe' });
  const services =
    "services:\n  app: { image: 'oci:image', resources: { memory: { max: 8MiB }, cpu: { max: 0.5 }, pids: 8 } }\n";
  writeFileSync(
    at('release.yaml'),
    `name: t\nversion: ${version}\nboards: [generic-amd64]\npolicy: { soak: 100ms }\n${services}`,
  );
  for (const argv of [
    ['release', 'build', '-f', at('release.yaml'), '-o', at('out'), '--cache', at('cache')],
    ['release', 'sign', at('out')],
    ['release', 'push', at('out')],
  ])
    assert.deepEqual({ ...(await wherry(...argv)), out: '' }, { code: 0, out: '', err: '' });
}

beforeAll(async () => {
  fleet = await TestFleet.start();
  const { token } = (await fleet.api('POST', '/api-tokens', { note: 'signer' })).body;
  env = { WHERRY_SERVER: fleet.server.url, WHERRY_TOKEN: token, WHERRY_KEYS: at('keys') };
  assert.equal((await wherry('keys', 'init')).code, 0);
  await publish('1.0.0');
  await publish('2.0.0');
});
afterAll(async () => {
  await fleet.close();
  rmSync(dir, { recursive: true, force: true });
});

/** A device that was given the signer's root and no network takes the bundle. */
async function deviceTakes(bundle: string, now = Date.now()) {
  const bench = await startUpdateBench();
  await bench.broker.close();
  copyFileSync(join(bundle, 'root-1'), join(bench.folder, 'factory-root.json'));
  const agent = await bench.boot({ now: () => now });
  try {
    expect(await agent.engine.apply(bundle, 'ann')).toMatchObject({ ok: true });
    await agent.phase('committed', 5_000).catch(() => undefined);
    return { current: agent.engine.current?.version, status: agent.engine.status() };
  } finally {
    await agent.stop();
    await bench.close();
  }
}

test('a bundle is all that a device without a network needs', async () => {
  const { code, out } = await wherry(
    'release',
    'export',
    't',
    '2.0.0',
    '--to',
    at('stick'),
    '--days',
    '10',
    '--json',
  );
  const result = JSON.parse(out);
  expect({ code, ...result }).toMatchObject({
    code: 0,
    blobs: 2,
    savedBytes: 0,
    release: { version: '2.0.0' },
  });
  const days = (result.expiresAt - Date.now()) / DAY_MS;
  expect(days).toBeGreaterThan(9.9);
  expect(days).toBeLessThanOrEqual(10);
  const contents = checkBundle(JSON.parse(readFileSync(at('stick/bundle.json'), 'utf8')));
  expect(contents.ok && (contents.value as Bundle).release.manifest).toBe(result.release.manifest);
  expect(readdirSync(at('stick')).filter((name) => name.endsWith('.part'))).toEqual([]);
  expect((await deviceTakes(at('stick'))).current).toBe('2.0.0');
});

test('after its days a device takes it no more', async () => {
  const late = await deviceTakes(at('stick'), Date.now() + 11 * DAY_MS);
  expect(late).toMatchObject({
    current: undefined,
    status: { reason: { code: 'refused.metadata-expired' } },
  });
});

test('devices on the network keep to short-lived metadata', async () => {
  const fetched = await fleet.api('GET', '/objects/timestamp');
  const { expires, version } = (fetched.body as { signed: { expires: string; version: number } }).signed;
  expect(Date.parse(expires) - Date.now()).toBeLessThanOrEqual(DAY_MS);
  const bundled = JSON.parse(readFileSync(at('stick/timestamp'), 'utf8')).signed.version as number;
  expect(version).toBeGreaterThan(bundled);
});

test('exporting again fetches nothing again, and an object that was cut goes on', async () => {
  const blobs = readdirSync(at('stick')).filter((name) => name.startsWith('blob-'));
  const before = blobs.map((name) => statSync(join(at('stick'), name)).ino);
  const cut = join(at('stick'), blobs[0] as string);
  const content = readFileSync(cut);
  rmSync(cut);
  writeFileSync(`${cut}.part`, content.subarray(0, 1000));
  expect(await wherry('release', 'export', 't', '2.0.0', '--to', at('stick'))).toMatchObject({ code: 0 });
  expect(readFileSync(cut).equals(content)).toBe(true);
  expect(blobs.slice(1).map((name) => statSync(join(at('stick'), name)).ino)).toEqual(before.slice(1));
});

test('against an older version only what is new is in it', async () => {
  const { out } = await wherry(
    'release',
    'export',
    't',
    '2.0.0',
    '--to',
    at('small'),
    '--against',
    '1.0.0',
    '--json',
  );
  expect(JSON.parse(out)).toMatchObject({ blobs: 1, savedBytes: expect.any(Number) });
  expect(JSON.parse(readFileSync(at('small/bundle.json'), 'utf8')).against).toEqual(['t 1.0.0']);
});

test.each([
  [['t', '9.9.9', '--to', 'x'], 'Cannot find release t 9.9.9'],
  [['t', '2.0.0'], 'no folder is given'],
  [['t', '2.0.0', '--to', 'x', '--days', '91'], 'give a number from 1 to 90'],
  [['t', '2.0.0', '--to', 'x', '--platform', 'linux/riscv64'], 'known are linux/amd64, linux/arm64'],
  [['t', '2.0.0', '--to', at('arm'), '--platform', 'linux/arm64'], 'has no image for linux/arm64'],
])('refused in words: %j', async (argv, message) => {
  const { code, err } = await wherry('release', 'export', ...argv);
  expect(code).toBe(2);
  expect(err).toContain(message);
});
