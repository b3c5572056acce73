import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ChunkSource } from '../../agent/update/ports.ts';
import { SourceError } from '../../agent/update/sources/source-error.ts';
import { TrustStore } from '../../agent/update/tuf/trust-store.ts';
import { TufUpdater } from '../../agent/update/tuf/updater.ts';
import { sha256Hex } from '../../protocol/canonical.ts';
import { targetPath } from '../../protocol/manifest.ts';
import { runReleaseCommand } from '../../release/cli.ts';
import { ADMIN, TestFleet } from '../support/fleet-server.ts';
import { metadataState } from '../support/hostile-server.ts';
import { buildRelease } from '../support/signed-release.ts';

/** 2 of 3 from the first key to the device's verdict: the real tool, the real server, the agent's own updater. */
const dir = mkdtempSync(join(tmpdir(), `wherry-many-${process.pid}-`));
const at = (...path: string[]) => join(dir, ...path);
const PEOPLE = ['ada', 'bob', 'eve'] as const;
let fleet: TestFleet;
let token: string;

async function by(who: string, ...argv: string[]): Promise<{ code: number; words: string }> {
  const words: string[] = [];
  const sink = new Writable({ write: (data, _, done) => (words.push(String(data)), done()) });
  const env = {
    WHERRY_KEYS: at(who),
    WHERRY_PASSPHRASE: `passphrase of ${who}`,
    WHERRY_SERVER: fleet.server.url,
    WHERRY_TOKEN: token,
  };
  const code = await runReleaseCommand(argv, { stdout: sink, stderr: sink, env });
  return { code, words: words.join('') };
}
async function ok(who: string, ...argv: string[]): Promise<string> {
  const { code, words } = await by(who, ...argv);
  expect([code, words]).toEqual([0, words]);
  return words;
}
const call = (path: string, body: object, cookie = ''): Promise<Response> =>
  fetch(`${fleet.server.url}/api/v1/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: fleet.server.url, cookie },
    body: JSON.stringify(body),
  });

async function apiToken(): Promise<string> {
  const cookie = (await call('session', ADMIN)).headers.getSetCookie()[0]?.split(';')[0];
  return ((await (await call('api-tokens', { note: 'signer' }, cookie)).json()) as { token: string }).token;
}

const readText = (file: string): string => readFileSync(file, 'utf8');

/** Uploads the objects of a release folder by hand; gives the manifest's sha256. */
async function uploaded(folder: string): Promise<string> {
  const manifest = readFileSync(join(folder, 'manifest.json'));
  const sha256 = sha256Hex(manifest);
  await fleet.api('PUT', `/objects/manifest-${sha256}`, manifest);
  for (const file of readdirSync(join(folder, 'blobs')))
    await fleet.api(
      'PUT',
      `/objects/blob-${file.replace('.erofs', '')}`,
      readFileSync(join(folder, 'blobs', file)),
    );
  return sha256;
}

/** Signed by these in turn, kept by all. */
async function signedBy(
  draft: string,
  signers: readonly string[],
  keepers: readonly string[] = PEOPLE,
): Promise<void> {
  for (const who of signers) await ok(who, 'release', 'sign', draft, '--yes', ...trusting(who));
  for (const who of keepers) await ok(who, 'release', 'accept', draft, ...trusting(who));
}
const trusting = (who: string): string[] =>
  who === 'team' ? ['--root', at('ada/repository/1.root.json')] : [];

/** A release folder as build leaves it. */
async function folderOf(version: string, name = 'demo'): Promise<string> {
  const built = await buildRelease(version, { blobBytes: 8192 });
  const folder = at(`${name}-${version}`);
  mkdirSync(join(folder, 'blobs'), { recursive: true });
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ ...built.manifest, name }));
  writeFileSync(join(folder, 'blobs', `${built.blobName.slice('blob-'.length)}.erofs`), built.blob);
  return folder;
}

/** What a device with the first root as its factory root says, over the metadata the server has in force. */
async function verdict(name: string, version: string): Promise<string> {
  const source: ChunkSource = {
    read: async (object) => {
      const text = (await metadataState(fleet)).files.find(({ name: file }) => file === object)?.text;
      if (text === undefined) throw new SourceError('unknown-object', object);
      return Buffer.from(text);
    },
    fetch: async () => {},
  };
  const store = new TrustStore({ folder: at('device'), factoryRoot: at('ada/repository/1.root.json') });
  const updater = new TufUpdater({ store, log: { info: () => {}, warn: () => {} } });
  const said = await updater.targetOf(
    targetPath(name, version),
    Date.now(),
    source,
    new AbortController().signal,
  );
  return said.ok ? 'ok' : said.code;
}

beforeAll(async () => {
  fleet = await TestFleet.start();
  token = await apiToken();
  mkdirSync(at('device'));
  const add: string[] = [];
  for (const who of PEOPLE)
    for (const role of ['root', 'targets']) {
      const { keyid } = JSON.parse(await ok(who, 'keys', 'create', role, '--json'));
      await ok(who, 'keys', 'export', keyid, '-o', at(`${who}-${role}.json`));
      add.push('--add', `${role}=${at(`${who}-${role}.json`)}`);
    }
  const thresholds = ['--threshold', 'root=2', '--threshold', 'targets=2'];
  await ok('ada', 'keys', 'root', '-o', at('root-1'), '--server', fleet.server.url, ...add, ...thresholds);
  await signedBy(at('root-1'), ['ada', 'bob']);
}, 180_000);
afterAll(async () => {
  await fleet.close();
  rmSync(dir, { recursive: true, force: true });
});

test('a release signed by two of three reaches the device; one signed by one does not leave the tool', async () => {
  const folder = await folderOf('1.0.0');
  await ok('ada', 'release', 'draft', folder, '-o', at('1.0.0'));
  await ok('ada', 'release', 'sign', at('1.0.0'), '--yes');
  const early = await by('ada', 'release', 'push', folder, '--draft', at('1.0.0'));
  expect(early).toMatchObject({ code: 4, words: expect.stringContaining('it has 1 of 2 signatures') });
  await signedBy(at('1.0.0'), ['eve']);
  await ok('ada', 'release', 'push', folder, '--draft', at('1.0.0'));
  expect((await fleet.api('GET', '/releases')).body.items[0].signedBy).toHaveLength(2);
  expect(await verdict('demo', '1.0.0')).toBe('ok');
});

test('the server takes nothing that one of three signed, whatever a tool says', async () => {
  const folder = await folderOf('1.1.0');
  await ok('bob', 'release', 'draft', folder, '-o', at('1.1.0'));
  await ok('bob', 'release', 'sign', at('1.1.0'), '--yes');
  const { metadata, roots } = JSON.parse(readText(at('1.1.0')));
  const published = await fleet.api('POST', '/releases', {
    manifestSha256: await uploaded(folder),
    roots,
    targets: metadata,
  });
  expect(published).toMatchObject({ status: 422, body: { code: 'release.metadata-signature' } });
  expect(published.body.detail).toContain('targets was signed by 1/2 keys');
  expect(await verdict('demo', '1.1.0')).toBe('refused.target-missing');
  await signedBy(at('1.1.0'), ['ada']);
  await ok('bob', 'release', 'push', folder, '--draft', at('1.1.0'));
  expect(await verdict('demo', '1.1.0')).toBe('ok');
});

test('a floor set by two holds on the device, and on the server against a lower one', async () => {
  await ok('eve', 'release', 'floor', 'demo', '1.1.0', '-o', at('floor'));
  await signedBy(at('floor'), ['eve', 'bob']);
  await ok('eve', 'release', 'push', at('demo-1.1.0'), '--keys', at('eve'));
  expect(await verdict('demo', '1.1.0')).toBe('ok');
  expect(await verdict('demo', '1.0.0')).toBe('refused.floor');
});

test('a root that takes a key away, signed by old and new, is walked by server and device', async () => {
  const { keys } = JSON.parse(await ok('ada', 'keys', 'list', '--json'));
  const gone = keys
    .map(({ role, keyid: id }: { role: string; keyid: string }) => ['--remove', `${role}=${id}`])
    .flat();
  await ok('bob', 'keys', 'root', '-o', at('root-2'), ...gone);
  await signedBy(at('root-2'), ['bob', 'eve']);
  const folder = await folderOf('1.2.0');
  await ok('bob', 'release', 'draft', folder, '-o', at('1.2.0'));
  expect((await by('ada', 'release', 'sign', at('1.2.0'), '--yes')).words).toContain('none is wanted');
  await signedBy(at('1.2.0'), ['bob', 'eve']);
  await ok('bob', 'release', 'push', folder, '--draft', at('1.2.0'));
  expect((await fleet.api('GET', '/repository')).body).toMatchObject({ rootVersion: 2 });
  expect(await verdict('demo', '1.2.0')).toBe('ok');
});

test('a team publishes by its own role, within its paths', async () => {
  const { keyid } = JSON.parse(await ok('team', 'keys', 'create', 'camera', '--json'));
  await ok('team', 'keys', 'export', keyid, '-o', at('camera.json'));
  const paths = ['--path', 'releases/camera/*/manifest.json'];
  await ok('bob', 'keys', 'delegate', 'camera', '-o', at('delegate'), '--key', at('camera.json'), ...paths);
  await signedBy(at('delegate'), ['bob', 'eve'], ['bob', 'eve', 'team']);
  const folder = await folderOf('1.0.0', 'camera');
  await ok('team', 'release', 'draft', folder, '--role', 'camera', '-o', at('camera-1'));
  await signedBy(at('camera-1'), ['team'], []);
  await ok('team', 'release', 'push', folder, '--draft', at('camera-1'));
  expect(await ok('team', 'release', 'inspect', folder)).toContain(
    `good, by ${keyid.slice(0, 16)} for camera`,
  );
  const { items } = (await fleet.api('GET', '/releases')).body;
  expect(items.find(({ name }: { name: string }) => name === 'camera').signedBy).toEqual([keyid]);
  expect(await verdict('camera', '1.0.0')).toBe('ok');
  expect(await verdict('demo', '1.2.0')).toBe('ok');
  const next = await folderOf('1.3.0');
  await ok('bob', 'release', 'draft', next, '-o', at('1.3.0'));
  await signedBy(at('1.3.0'), ['bob', 'eve'], ['bob', 'eve']);
  await ok('bob', 'release', 'push', next, '--draft', at('1.3.0'));
  expect(await verdict('camera', '1.0.0')).toBe('ok');
});
