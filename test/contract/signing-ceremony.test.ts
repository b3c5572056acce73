import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sha256Hex } from '../../protocol/canonical.ts';
import { parseRole, signersOf, tufKeyOf, verifyRole } from '../../protocol/tuf.ts';
import { runReleaseCommand } from '../../release/cli.ts';
import { testManifest } from '../support/test-repository.ts';

/** Three people, each with a folder of their own, and files that travel between them. */
const dir = mkdtempSync(join(tmpdir(), `wherry-ceremony-${process.pid}-`));
const at = (...path: string[]) => join(dir, ...path);
const PEOPLE = ['ada', 'bob', 'eve'] as const;
const online = { snapshot: publicKey(), timestamp: publicKey() };
let server: Server;
let url: string;

function publicKey() {
  return tufKeyOf(generateKeyPairSync('ed25519').privateKey).toJSON();
}
const sink = (to: string[]) => new Writable({ write: (data, _, done) => (to.push(String(data)), done()) });

interface Outcome {
  code: number;
  out: string;
  err: string;
}
async function wherry(
  argv: string[],
  env: Record<string, string> = {},
  stdin?: PassThrough,
): Promise<Outcome> {
  const [out, err] = [[] as string[], [] as string[]];
  const code = await runReleaseCommand(argv, { stdout: sink(out), stderr: sink(err), env, stdin });
  return { code, out: out.join(''), err: err.join('') };
}
/** Somebody's own machine: their folder and passphrase. */
const by = (who: string, ...argv: string[]): Promise<Outcome> =>
  wherry(argv, { WHERRY_KEYS: at(who), WHERRY_PASSPHRASE: `passphrase of ${who}` });
async function ok(outcome: Promise<Outcome>): Promise<string> {
  const { code, out, err } = await outcome;
  expect(err + out).not.toContain('Cannot');
  expect(code).toBe(0);
  return out;
}
const send = (draft: string, who: string, ...more: string[]) =>
  by(who, 'release', 'sign', at(draft), '--yes', ...more);

/** A release folder without blobs: what signing needs. */
function release(version: string, change: object = {}): string {
  const folder = at(`demo-${version}`);
  mkdirSync(folder, { recursive: true });
  const manifest = testManifest(version, [{ verity: 'c'.repeat(64), size: 4096 }]);
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ ...manifest, ...change }));
  return folder;
}

/** Of somebody's folder, by role: the beginning of the keyid. */
const keyids: Record<string, Record<string, string>> = {};

beforeAll(async () => {
  server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ rootVersion: null, targetsVersion: null, onlineKeys: online }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const who of PEOPLE) {
    keyids[who] = {};
    for (const role of ['root', 'targets']) {
      const { keyid } = JSON.parse(await ok(by(who, 'keys', 'create', role, '--json')));
      keyids[who][role] = keyid;
      await ok(by(who, 'keys', 'export', keyid.slice(0, 12), '--public', '-o', at(`${who}-${role}.json`)));
    }
  }
}, 60_000);
afterAll(() => {
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

test('private keys are encrypted, readable by their owner alone, and never printed', async () => {
  const files = readdirSync(at('ada', 'keys'));
  expect(files).toHaveLength(2);
  for (const file of files) {
    expect(statSync(at('ada', 'keys', file)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(at('ada', 'keys', file), 'utf8'))).toMatchObject({
      v: 1,
      sealed: expect.any(String),
    });
  }
  expect(await ok(by('ada', 'keys', 'list'))).toMatch(/root {5,}ed25519 +encrypted +-/);
  expect(readFileSync(at('ada-root.json'), 'utf8')).toContain('"keytype": "ed25519"');
});

test('a root of 2 of 3 is drafted by one, signed by two, and kept by all', async () => {
  const add = PEOPLE.flatMap((who) =>
    ['root', 'targets'].flatMap((role) => ['--add', `${role}=${at(`${who}-${role}.json`)}`]),
  );
  const thresholds = ['--threshold', 'root=2', '--threshold', 'targets=2'];
  const draft = at('root-1.draft');
  expect(await ok(by('ada', 'keys', 'root', '-o', draft, '--server', url, ...add, ...thresholds))).toContain(
    'root: threshold 2',
  );
  expect((await by('ada', 'release', 'review', draft)).code).toBe(4);
  expect(await ok(send('root-1.draft', 'ada'))).toContain('keys of root 1: 1 of 2 signatures');
  expect(readdirSync(at('ada'))).not.toContain('repository');
  expect((await by('ada', 'release', 'accept', draft)).err).toContain(
    `missing 1 of ${keyids['bob']?.['root']?.slice(0, 16)}`,
  );
  expect(await ok(send('root-1.draft', 'bob'))).toContain('All signatures are there');
  for (const who of PEOPLE) await ok(by(who, 'release', 'accept', draft));
  const root = parseRole('root', readFileSync(at('eve', 'repository', '1.root.json')));
  expect(() => verifyRole(root, 'root', root)).not.toThrow();
  expect(signersOf(root, 'root', root)).toHaveLength(2);
  expect(root.signed.roles['snapshot']?.threshold).toBe(1);
  expect(await ok(by('eve', 'keys', 'list'))).toMatch(/encrypted +root\n/);
});

test('a release is signed by two of three in turn, and each sees what they sign', async () => {
  const folder = release('1.0.0');
  expect((await by('ada', 'release', 'sign', folder)).err).toContain(
    'targets need 2 of 3 signatures and it holds 1',
  );
  const draft = at('1.0.0.draft');
  await ok(by('eve', 'release', 'draft', folder, '-o', draft));
  const pushed = await by('eve', 'release', 'push', folder, '--draft', draft, '--server', url);
  expect(pushed).toMatchObject({
    code: 4,
    err: expect.stringContaining('it has 0 of 2 signatures by the keys of root 1'),
  });
  const first = await send('1.0.0.draft', 'bob');
  expect(first.err).toContain('+ release demo 1.0.0, counter 1, the first of its line');
  expect(first.err).toContain(sha256Hex(readFileSync(join(folder, 'manifest.json'))));
  expect(first.out).toContain('1 of 2 signatures');
  expect((await send('1.0.0.draft', 'bob')).err).toContain('none is wanted that has not signed');
  expect(await ok(send('1.0.0.draft', 'ada'))).toContain('All signatures are there');
  for (const who of PEOPLE) await ok(by(who, 'release', 'accept', draft));
});

test('the next release shows what changes against the one before, loosenings above all', async () => {
  const { services } = testManifest('1.1.0', [{ verity: 'd'.repeat(64), size: 8192 }]);
  const web = { ...services['web'], network: 'host' };
  const policy = { soakMs: 7_000 };
  const part = { verity: 'e'.repeat(64), size: 4096 };
  const system = { version: '1.4.0', boards: { 'generic-amd64': { boot: part, root: part } } };
  const folder = release('1.1.0', { policy, system, services: { web, extra: services['web'] } });
  const draft = at('1.1.0.draft');
  await ok(by('ada', 'release', 'draft', folder, '-o', draft));
  const { err } = await send('1.1.0.draft', 'ada');
  expect(err).toContain('counter 2, after 1.0.0');
  expect(err).toContain('~ policy changed');
  expect(err).toContain('+ service extra');
  expect(err).toContain('~ service web: images, network changed');
  expect(err).toContain('! web shares the network of the host');
  expect(err).toContain('! brings the system 1.4.0 for generic-amd64');
  await ok(send('1.1.0.draft', 'eve'));
  for (const who of PEOPLE) await ok(by(who, 'release', 'accept', draft));
});

test('a release that is signed already is drafted as a renewal', async () => {
  const draft = at('renewal.draft');
  const shown = await ok(by('eve', 'release', 'draft', at('demo-1.1.0'), '-o', draft, '--expires-days', '9'));
  expect(shown).toContain('targets version 3');
  expect(shown).toContain('nothing changes but version and expiry');
});

test('a floor is set by two, and only rises', async () => {
  const draft = at('floor.draft');
  expect(await ok(by('bob', 'release', 'floor', 'demo', '1.1.0', '-o', draft))).toContain(
    'floor of demo: 0 becomes 2',
  );
  await ok(send('floor.draft', 'bob'));
  await ok(send('floor.draft', 'ada'));
  for (const who of PEOPLE) await ok(by(who, 'release', 'accept', draft));
  const again = await by('bob', 'release', 'floor', 'demo', '1.0.0', '-o', draft);
  expect(again.err).toContain('its counter is 1, the floor is 2; a floor only rises');
});

test('eve is replaced: old and new root keys sign, and her key signs nothing after', async () => {
  for (const role of ['root', 'targets']) {
    const { keyid } = JSON.parse(
      await ok(by('dan', 'keys', 'create', role, '--type', 'ecdsa-p256', '--json')),
    );
    await ok(by('dan', 'keys', 'export', keyid, '-o', at(`dan-${role}.json`)));
  }
  const change = ['root', 'targets'].flatMap((role) => [
    '--remove',
    `${role}=${keyids['eve']?.[role]?.slice(0, 16)}`,
    '--add',
    `${role}=${at(`dan-${role}.json`)}`,
  ]);
  const draft = at('root-2.draft');
  const shown = await ok(by('ada', 'keys', 'root', '-o', draft, ...change));
  expect(shown).toContain(`root: - ${keyids['eve']?.['root']}`);
  expect(shown).toContain('keys of root 1: 0 of 2');
  expect(shown).toContain('keys of root 2: 0 of 2');
  // Dan is new and trusts no root yet: he is told to name the one that the others trust.
  expect((await send('root-2.draft', 'dan')).err).toContain('trusts no root yet');
  await ok(send('root-2.draft', 'dan', '--root', at('ada', 'repository', '1.root.json')));
  expect((await by('ada', 'release', 'accept', draft)).err).toContain(
    '0 of 2 signatures by the keys of root 1',
  );
  await ok(send('root-2.draft', 'ada'));
  expect(
    await ok(by('ada', 'release', 'review', draft).then((was) => ({ ...was, code: was.code === 4 ? 0 : 1 }))),
  ).toContain('keys of root 2: 2 of 2');
  await ok(send('root-2.draft', 'eve'));
  for (const who of ['ada', 'bob', 'eve']) await ok(by(who, 'release', 'accept', draft));
  await ok(by('dan', 'release', 'accept', draft, '--root', at('ada', 'repository', '1.root.json')));

  const folder = release('1.2.0');
  await ok(by('ada', 'release', 'draft', folder, '-o', at('1.2.0.draft')));
  expect((await send('1.2.0.draft', 'eve')).err).toContain('none is wanted that has not signed');
  await ok(send('1.2.0.draft', 'dan'));
  await ok(send('1.2.0.draft', 'bob'));
});

test('a team gets a role of its own, signs within its paths, and loses it again', async () => {
  await ok(by('bob', 'release', 'accept', at('1.2.0.draft')));
  const { keyid } = JSON.parse(await ok(by('team', 'keys', 'create', 'camera', '--json')));
  await ok(by('team', 'keys', 'export', keyid, '-o', at('camera.json')));
  const draft = at('camera.draft');
  await ok(
    by(
      'bob',
      'keys',
      'delegate',
      'camera',
      '-o',
      draft,
      '--key',
      at('camera.json'),
      '--path',
      'releases/camera/*/manifest.json',
    ),
  );
  await ok(send('camera.draft', 'bob'));
  expect((await send('camera.draft', 'dan')).err).toContain(
    '+ delegation to camera: releases/camera/*/manifest.json; 1 of',
  );
  await ok(by('team', 'release', 'accept', draft, '--root', at('ada', 'repository', '1.root.json')));

  const outside = release('2.0.0');
  const refused = await by('team', 'release', 'draft', outside, '--role', 'camera', '-o', at('x.draft'));
  expect(refused.err).toContain('it may name releases/camera/*/manifest.json only');
  const folder = release('camera-1', { name: 'camera' });
  await ok(by('team', 'release', 'draft', folder, '--role', 'camera', '-o', at('camera-1.draft')));
  expect(await ok(send('camera-1.draft', 'team'))).toContain('camera version 1');
  await ok(by('bob', 'release', 'accept', draft));
  const withdrawn = await ok(by('bob', 'keys', 'withdraw', 'camera', '-o', at('withdraw.draft')));
  expect(withdrawn).toContain('- delegation to camera');
});

test('a draft that was changed on the way, is stale or of another repository is refused', async () => {
  const draft = JSON.parse(readFileSync(at('1.2.0.draft'), 'utf8'));
  const write = (change: object) => writeFileSync(at('bad.draft'), JSON.stringify({ ...draft, ...change }));
  const [path = ''] = Object.keys(draft.manifests);
  write({
    manifests: { ...draft.manifests, [path]: draft.manifests[path].replace('/bin/true', '/bin/evil') },
  });
  expect((await send('bad.draft', 'ada')).err).toContain('is not the one it names');
  write({ roots: draft.roots.slice(1) });
  expect((await send('bad.draft', 'ada')).code).not.toBe(0);
  write({ v: 2 });
  expect((await send('bad.draft', 'ada')).err).toContain('its version is 2; this tool reads 1');
  expect((await send('1.0.0.draft', 'bob')).err).toContain('draft it anew');
  for (const who of ['mallory']) {
    await ok(wherry(['keys', 'init', '--keys', at(who), '--server', url]));
    await ok(wherry(['release', 'draft', release('6.6.6'), '--keys', at(who), '-o', at('foreign.draft')]));
  }
  expect((await send('foreign.draft', 'ada')).err).toContain('is not the one trusted here');
});

test('what this tool does not know of is shown too, and nothing drafted moves the cursor', async () => {
  const draft = JSON.parse(readFileSync(at('renewal.draft'), 'utf8'));
  const metadata = JSON.parse(draft.metadata);
  metadata.signed['x-hidden'] = { run: 'this' };
  metadata.signed.targets['releases/demo/9.9.9\u001b[2K\u202e/manifest.json'] = {
    length: 1,
    hashes: { sha256: 'a'.repeat(64) },
  };
  writeFileSync(at('odd.draft'), JSON.stringify({ ...draft, metadata: JSON.stringify(metadata) }));
  const { out } = await wherry(['release', 'review', at('odd.draft')]);
  expect(out).toContain('! + field x-hidden: {"run":"this"}');
  expect(out).toContain('+ releases/demo/9.9.9\\u001b[2K\\u202e/manifest.json, sha256 aaaa');
  // oxlint-disable-next-line no-control-regex
  expect(out).not.toMatch(/[\u001b\u202e]/);
});

test('a folder whose own metadata was changed drafts nothing', async () => {
  const file = at('eve', 'repository', '1.root.json');
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace(/"threshold": 2/, '"threshold": 1'));
  expect((await by('eve', 'keys', 'root', '-o', at('x.draft'), '--server', url)).code).toBe(4);
  expect((await by('eve', 'release', 'draft', at('demo-1.1.0'), '-o', at('x.draft'))).code).toBe(4);
  writeFileSync(file, text);
});

test('a key in a token signs by a program, whose signature is checked', async () => {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keyid = tufKeyOf(key.publicKey).keyID;
  writeFileSync(at('token.pem'), key.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(at('token.pub'), key.publicKey.export({ type: 'spki', format: 'pem' }));
  const draft = at('token.draft');
  await ok(by('bob', 'keys', 'root', '-o', draft, '--add', `root=${at('token.pub')}`));
  const sign = (command: string) =>
    send('token.draft', 'bob', '--signer', command, '--key', keyid.slice(0, 12));
  expect((await sign('exit 3')).err).toContain('ended with exit code 3');
  expect((await sign('echo no, thanks')).err).toContain('printed no signature');
  expect((await sign('printf 00112233')).err).toContain('printed a signature that is not by this key');
  expect(execFileSync('openssl', ['version'], { encoding: 'utf8' })).toContain('OpenSSL');
  expect(await ok(sign(`openssl dgst -sha256 -sign ${at('token.pem')} | base64 -w0`))).toContain(
    `by ${keyid.slice(0, 16)}`,
  );
});

test('nothing is asked without a terminal, and errors say what to set', async () => {
  const keys = ['--keys', at('nobody')];
  expect((await wherry(['keys', 'create', 'root', ...keys])).err).toContain(
    'set --passphrase-file or WHERRY_PASSPHRASE',
  );
  expect((await wherry(['keys', 'create', 'root', ...keys], { WHERRY_PASSPHRASE: 'short' })).err).toContain(
    'wanted 8 and more',
  );
  expect(await by('ada', 'release', 'sign', at('token.draft'))).toMatchObject({
    code: 2,
    err: expect.stringContaining('set --yes'),
  });
  expect(await by('ada', 'keys', 'root', '-o', at('x.draft'), '--threshold', 'targets=9')).toMatchObject({
    code: 1,
    err: expect.stringContaining('targets would need 9 of 3 keys'),
  });
  const [file = ''] = readdirSync(at('ada', 'keys'));
  chmodSync(at('ada', 'keys', file), 0o644);
  expect((await by('ada', 'keys', 'list')).err).toContain('run chmod 600');
  chmodSync(at('ada', 'keys', file), 0o600);
  const wrong = wherry(['release', 'sign', at('token.draft'), '--yes', '--keys', at('ada')], {
    WHERRY_PASSPHRASE: 'not this one',
  });
  expect((await wrong).err).toContain('the passphrase is wrong, or the file was changed');
});

test('a terminal is asked, and shows no passphrase', async () => {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} });
  const made = wherry(['keys', 'create', 'root', '--keys', at('tty')], {}, stdin);
  stdin.write('typed secreX\u007ft\r');
  setImmediate(() => stdin.write('typed secret\r'));
  const { code, err } = await made;
  expect(code).toBe(0);
  expect(err).toBe('Passphrase for the new key: \nThe same again: \n');
  const [file = ''] = readdirSync(at('tty', 'keys'));
  expect(readFileSync(at('tty', 'keys', file), 'utf8')).not.toContain('typed secret');
});
