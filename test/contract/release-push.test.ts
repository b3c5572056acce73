import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestFleet } from '../support/fleet-server.ts';
import { releaseCommand } from '../support/release-command.ts';

const dir = mkdtempSync(join(tmpdir(), 'wherry-push-'));
let fleet: TestFleet;
let env: Record<string, string>;

const wherry = (...argv: string[]) => releaseCommand(env, argv);
async function json(...argv: string[]) {
  const { code, out, err } = await wherry(...argv, '--json');
  expect(err).toBe('');
  return { code, body: JSON.parse(out) };
}
const at = (name: string) => join(dir, name);
function build(version: string, memory = '8MiB') {
  const resources = `{ memory: { max: ${memory} }, cpu: { max: 0.5 }, pids: 8 }`;
  const services = `services:\n  app: { image: 'oci:image', resources: ${resources} }\n`;
  writeFileSync(at('release.yaml'), `name: t\nversion: ${version}\nboards: [generic-amd64]\n${services}`);
  return ['release', 'build', '-f', at('release.yaml'), '-o', at('out'), '--cache', at('cache')];
}

beforeAll(async () => {
  const script = `mkdir -p root/bin; cp /bin/true root/bin/app; tar -C root -cf root.tar .
    umoci init --layout image; umoci new --image image:v1; umoci raw add-layer --image image:v1 root.tar
    umoci config --image image:v1 --architecture amd64 --os linux --config.user 33:33 --config.entrypoint /bin/app
    umoci gc --layout image`;
  execFileSync('sh', ['-ec', script], { cwd: dir, stdio: 'pipe' });
  fleet = await TestFleet.start();
  const { token } = (await fleet.api('POST', '/api-tokens', { note: 'signer' })).body;
  env = { WHERRY_SERVER: fleet.server.url, WHERRY_TOKEN: token, WHERRY_KEYS: at('keys') };
});
afterAll(async () => {
  await fleet.close();
  rmSync(dir, { recursive: true, force: true });
});

test('from keys to a release that the fleet server lists', async () => {
  const keys = await json('keys', 'init');
  expect(keys).toMatchObject({ code: 0, body: { keysDir: at('keys'), rootVersion: 1, targetsVersion: 0 } });
  expect((await json('keys', 'show')).body).toEqual(keys.body);

  const built = await json(...build('1.0.0'));
  expect(built).toMatchObject({
    code: 0,
    body: { name: 't', version: '1.0.0', folder: at('out'), notes: [] },
  });
  expect(built.body.blobs).toMatchObject([{ verity: expect.any(String), sizeBytes: expect.any(Number) }]);
  const signed = await json('release', 'sign', at('out'));
  expect(signed).toMatchObject({
    code: 0,
    body: { name: 't', version: '1.0.0', targetsVersion: 1, isNew: true },
  });
  const inspected = await json('release', 'inspect', at('out'));
  expect(inspected).toMatchObject({ code: 0, body: { signature: { state: 'good' }, blobFaults: [] } });
  const pushed = await json('release', 'push', at('out'));
  expect(pushed).toMatchObject({ code: 0, body: { id: expect.any(String), sentObjects: 2 } });
  expect(await json('release', 'push', at('out'))).toMatchObject({
    code: 0,
    body: { id: pushed.body.id, sentObjects: 0, sentBytes: 0 },
  });
  expect((await fleet.api('GET', '/releases')).body.items).toMatchObject([
    { id: pushed.body.id, name: 't', version: '1.0.0', manifestSha256: built.body.manifestSha256 },
  ]);
});

test('what the server refuses exits with 4 and the server’s own code', async () => {
  await json(...build('2.0.0'));
  await json('release', 'sign', at('out'));
  env = { ...env, WHERRY_KEYS: at('other-keys') };
  await json('keys', 'init');
  await json(...build('3.0.0'));
  await json('release', 'sign', at('out'));
  const { code, out, err } = await wherry('release', 'push', at('out'), '--json');
  expect(code).toBe(4);
  expect(err).toContain('release.metadata-mismatch');
  expect(JSON.parse(out)).toEqual({ error: { code: 'server-refused', message: err.trim() } });
  expect((await fleet.api('GET', '/releases')).body.items).toHaveLength(1);
});

test('a release beyond the board exits with 4, a server that is not there with 1', async () => {
  const large = await wherry(...build('4.0.0', '3GiB'), '--json');
  expect([large.code, JSON.parse(large.out).error.code]).toEqual([4, 'does-not-fit']);
  const gone = await wherry('keys', 'init', '--keys', at('new'), '--server', 'http://127.0.0.1:1', '--json');
  expect([gone.code, JSON.parse(gone.out).error.code]).toEqual([1, 'server']);
  const stranger = await wherry('keys', 'init', '--keys', at('new'), '--token', 'x');
  expect(stranger).toMatchObject({ code: 1, err: expect.stringContaining('session.required') });
});

test.each([
  [[]],
  [['release']],
  [['release', 'frobnicate']],
  [['release', 'build', '--bord', 'x']],
  [['release', 'sign']],
  [['release', 'inspect', 'one', 'two']],
  [['release', 'sign', 'x', '--expires-days', '0']],
])('wherry %j is a wrong use: exit code 2, words on standard error only', async (argv) => {
  const { code, out, err } = await wherry(...argv);
  expect([code, out]).toEqual([2, '']);
  expect(err).not.toBe('');
});
