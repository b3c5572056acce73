import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LIMITS } from '../../../protocol/limits.ts';
import type { RoleName } from '../../../protocol/tuf.ts';
import { TestRepository } from '../../../test/support/test-repository.ts';
import { FakeSource } from '../sources/fake-source.ts';
import { TrustStore } from './trust-store.ts';
import { TufUpdater } from './updater.ts';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const LAPSED = '2026-05-31T23:59:59Z';
const PATH = 'demo/1.0.0';
const { signal } = new AbortController();

let folder: string;
let source: FakeSource;
let repository: TestRepository;
let path: string;
let log: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wherry-tuf-'));
  repository = new TestRepository();
  source = new FakeSource(repository.objects);
  await writeFile(join(folder, 'root.json'), repository.factoryRoot);
  repository.publish('1.0.0', []);
  path = [...repository.paths][0] ?? PATH;
  log = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const trustStore = () => new TrustStore({ folder, factoryRoot: join(folder, 'root.json') });
/** A new updater over the same folder each time, as after a restart. */
const lookUp = (store = trustStore(), now = NOW) =>
  new TufUpdater({
    store,
    log: { info: () => {}, warn: (_fields, message) => log.push(message) },
  }).targetOf(path, now, source, signal);
const held = async () => (await trustStore().load()).texts;
const versionHeld = async (role: RoleName): Promise<number | undefined> => {
  const { [role]: text } = await held();
  return text === undefined ? undefined : JSON.parse(text).signed.version;
};
const put = (object: string, text: string) => repository.objects.set(object, Buffer.from(text));
const copyOf = (object: string) => Buffer.from(repository.objects.get(object) ?? '');

async function expectRefusal(code: string, words = ''): Promise<void> {
  const before = await held();
  const verdict = await lookUp();
  expect(verdict).toMatchObject({ ok: false, code });
  expect(verdict.ok ? '' : verdict.message).toContain(words);
  const after = await held();
  expect(after.targets).toBe(before.targets);
}

test('names the target that the signed targets name, and no other', async () => {
  expect(await lookUp()).toMatchObject({ ok: true, length: expect.any(Number) });
  path = 'demo/9.9.9/manifest.json';
  await expectRefusal('refused.target-missing');
});

test('walks from root 1 to root 3 when the keys before and after signed each step', async () => {
  repository.rotate('root');
  repository.rotate('root', 'timestamp', 'snapshot', 'targets');
  repository.signTargets();
  expect(await lookUp()).toMatchObject({ ok: true });
  expect(await versionHeld('root')).toBe(3);
});

test('a root needs the whole threshold of the root before it', async () => {
  const [first, second, third] = [repository.keys.root, repository.newKey(), repository.newKey()];
  repository.signRoot([first, second], [first, second]);
  repository.signRoot([second, third], [second, third]);
  await expectRefusal('refused.metadata-signature', '1/2');
  expect(await versionHeld('root')).toBe(2);
});

test('a root needs the whole threshold of its own', async () => {
  const [first, second] = [repository.keys.root, repository.newKey()];
  repository.signRoot([first], [first, second]);
  await expectRefusal('refused.metadata-signature', '1/2');
  expect(await versionHeld('root')).toBe(1);
});

test('a root that only its own new keys signed is refused', async () => {
  const thief = repository.newKey();
  repository.signRoot([thief], [thief]);
  await expectRefusal('refused.metadata-signature', 'root.json');
});

test.each([1, 3])('a root of version %i in the place of version 2 is refused', async (version) => {
  repository.versions.root = version - 1;
  repository.signRoot();
  const misplaced = copyOf(`root-${version}`);
  if (version === 3) repository.objects.delete('root-3');
  repository.objects.set('root-2', misplaced);
  await expectRefusal('refused.metadata-signature', 'wanted 2');
});

test('a server with ever more roots is followed a bounded way at a time', async () => {
  for (let version = 2; version <= LIMITS.rootSteps + 3; version++) repository.signRoot();
  expect(await lookUp()).toMatchObject({ ok: true });
  expect(await versionHeld('root')).toBe(LIMITS.rootSteps + 1);
  expect(await lookUp()).toMatchObject({ ok: true });
  expect(await versionHeld('root')).toBe(LIMITS.rootSteps + 3);
});

test('an expired root on the way to a fresh one is no fault', async () => {
  repository.expires = LAPSED;
  repository.signRoot();
  repository.expires = '2099-01-01T00:00:00Z';
  repository.signRoot();
  expect(await lookUp()).toMatchObject({ ok: true });
});

test('an older timestamp is refused', async () => {
  await lookUp();
  repository.signTimestamp(undefined, 1);
  await expectRefusal('refused.metadata-rollback', 'timestamp.json');
});

test('the same timestamp version with other content changes nothing', async () => {
  await lookUp();
  const version = await versionHeld('timestamp');
  repository.signSnapshot();
  repository.signTimestamp(undefined, version);
  expect(await lookUp()).toMatchObject({ ok: true });
  expect(await versionHeld('snapshot')).toBe(repository.versions.snapshot - 1);
});

test('a newer timestamp that names an older snapshot is refused', async () => {
  await lookUp();
  repository.versions.snapshot = 1;
  repository.signTimestamp();
  await expectRefusal('refused.metadata-rollback', 'snapshot.json: version is 1');
});

test('a newer snapshot that names older targets is refused', async () => {
  await lookUp();
  repository.versions.targets = 1;
  repository.signSnapshot();
  await expectRefusal('refused.metadata-rollback', 'targets.json: version is 1');
});

test('a snapshot that drops a file it named before is refused', async () => {
  repository.signSnapshot(undefined, { 'fleet.json': 4 });
  await lookUp();
  repository.signSnapshot();
  await expectRefusal('refused.metadata-rollback', 'fleet.json: version is 0');
});

test('targets of the wanted version, well signed, that another snapshot names are refused', async () => {
  const above = [`snapshot-${repository.versions.snapshot}`, 'timestamp'];
  const kept = above.map((object) => [object, copyOf(object).toString()] as const);
  repository.expires = '2098-01-01T00:00:00Z';
  repository.versions.targets--;
  repository.versions.snapshot--;
  repository.signTargets();
  for (const [object, text] of kept) put(object, text);
  await expectRefusal('refused.metadata-signature', 'Cannot accept targets.json');
});

test('targets and a snapshot of another version under the wanted name are refused', async () => {
  put('targets-2', copyOf('targets-1').toString());
  await expectRefusal('refused.metadata-signature', 'targets.json');
  repository.signTargets();
  repository.objects.set(`snapshot-${repository.versions.snapshot}`, copyOf('snapshot-1'));
  await expectRefusal('refused.metadata-signature', 'snapshot.json');
});

test('expired metadata is refused, each role', async () => {
  repository.expires = LAPSED;
  repository.signTimestamp();
  await expectRefusal('refused.metadata-expired', 'timestamp.json');
  repository.expires = LAPSED;
  repository.signSnapshot();
  repository.expires = '2099-01-01T00:00:00Z';
  repository.signTimestamp();
  await expectRefusal('refused.metadata-expired', 'snapshot.json');
  repository.expires = LAPSED;
  repository.signTargets();
  repository.expires = '2099-01-01T00:00:00Z';
  repository.signSnapshot();
  await expectRefusal('refused.metadata-expired', 'targets.json');
  repository.expires = LAPSED;
  repository.signRoot();
  await expectRefusal('refused.metadata-expired', 'root.json');
});

test('a server that serves the same timestamp for ever is found out when it expires', async () => {
  expect(await lookUp()).toMatchObject({ ok: true });
  const later = Date.parse('2099-01-01T00:00:00Z');
  expect(await lookUp(trustStore(), later - 1)).toMatchObject({ ok: true });
  expect(await lookUp(trustStore(), later)).toMatchObject({ ok: false, code: 'refused.metadata-expired' });
});

test('versions run up with stolen keys are forgotten when root rotates those keys', async () => {
  repository.versions.timestamp = 1_000_000;
  repository.versions.snapshot = 1_000_000;
  repository.signSnapshot();
  expect(await lookUp()).toMatchObject({ ok: true });
  repository.versions.timestamp = 9;
  repository.versions.snapshot = 9;
  repository.rotate('timestamp', 'snapshot');
  repository.signSnapshot();
  expect(await lookUp()).toMatchObject({ ok: true });
  expect(await versionHeld('timestamp')).toBe(10);
  expect(await versionHeld('snapshot')).toBe(10);
});

test('a rotation of the timestamp key alone forgets the snapshot as well', async () => {
  const { targets } = repository.versions;
  repository.versions.targets = 1_000_000;
  repository.signTargets();
  expect(await lookUp()).toMatchObject({ ok: true });
  repository.versions.targets = targets;
  repository.rotate('timestamp');
  repository.signTargets();
  expect(await lookUp()).toMatchObject({ ok: true });
  expect(await versionHeld('targets')).toBe(targets + 1);
});

test('a root that rotates no online key leaves their versions as the floor', async () => {
  await lookUp();
  repository.rotate('root');
  repository.signTimestamp(undefined, 1);
  await expectRefusal('refused.metadata-rollback');
});

test('targets signed anew by rotated keys in the same version take the place of those at hand', async () => {
  await lookUp();
  repository.rotate('targets');
  repository.versions.targets--;
  repository.signTargets();
  expect(await lookUp()).toMatchObject({ ok: true });
});

test.each([
  'root-2',
  'timestamp',
  'snapshot-3',
  'targets-3',
])('%s past its size cap is refused', async (object) => {
  repository.signTargets();
  const content = copyOf(object === 'root-2' ? 'root-1' : object);
  repository.objects.set(object, Buffer.concat([content, Buffer.alloc(2 * 1024 * 1024, ' ')]));
  await expectRefusal('refused.metadata-malformed', object);
});

const GARBAGE = ['', '{', 'null', '[]', '{"signed":{}}', '\u0000\u0001'];
test.each(['root-2', 'timestamp'])('%s that is garbage or another role is refused', async (object) => {
  for (const text of [...GARBAGE, copyOf('targets-1').toString()]) {
    put(object, text);
    await expectRefusal('refused.metadata-malformed');
  }
});

test.each([
  'snapshot',
  'targets',
] as const)('a %s that is another role or another version is refused though the role above names it', async (role) => {
  repository.misname(role, 'timestamp');
  await expectRefusal('refused.metadata-malformed', `${role}.json`);
  repository.misname(role, `${role}-1`);
  await expectRefusal('refused.metadata-signature', `${role}.json: version is 1; wanted`);
});

test.each(['timestamp', 'snapshot', 'targets'] as const)('a %s by another key is refused', async (role) => {
  const thief = repository.newKey();
  if (role === 'timestamp') repository.signTimestamp(thief);
  if (role === 'snapshot') repository.signSnapshot(thief);
  if (role === 'targets') repository.signTargets(thief);
  await expectRefusal('refused.metadata-signature', `${role}.json`);
});

test('the newest whole slot is trusted; a torn write costs the newest state only', async () => {
  const store = trustStore();
  const root = repository.factoryRoot;
  await store.save({ root, timestamp: 'one' });
  await store.save({ root, timestamp: 'two' });
  expect((await held()).timestamp).toBe('two');
  const newest = join(folder, 'trust-a.json');
  await writeFile(newest, (await readFile(newest)).subarray(0, 100));
  expect((await held()).timestamp).toBe('one');

  const after = trustStore();
  await after.load();
  await after.save({ root, timestamp: 'three' });
  expect((await held()).timestamp).toBe('three');
  await writeFile(join(folder, 'trust-b.json'), 'x');
  expect((await held()).timestamp).toBe('three');
});

test('a slot whose checksum does not fit is no slot', async () => {
  await trustStore().save({ root: repository.factoryRoot, timestamp: 'one' });
  const slot = join(folder, 'trust-b.json');
  await writeFile(slot, (await readFile(slot, 'utf8')).replace('one', 'two'));
  expect(await trustStore().load()).toMatchObject({ origin: 'factory-after-loss' });
});

test('with both slots damaged the factory root is the floor again, and the log says so', async () => {
  repository.rotate('root');
  await lookUp();
  for (const slot of ['trust-a.json', 'trust-b.json']) await writeFile(join(folder, slot), 'x');
  expect(await versionHeld('root')).toBe(1);
  expect(await lookUp()).toMatchObject({ ok: true });
  expect(log).toEqual(['The trusted metadata was lost; the root of the system image is trusted again']);
  expect(await versionHeld('root')).toBe(2);
});

test('lost trust is told to the agent, once a refresh', async () => {
  await lookUp();
  let told = 0;
  const tell = () =>
    new TufUpdater({
      store: trustStore(),
      log: { info: () => {}, warn: () => {} },
      onTrustLost: () => (told += 1),
    }).targetOf(path, NOW, source, signal);
  await tell();
  expect(told).toBe(0);
  for (const slot of ['trust-a.json', 'trust-b.json']) await writeFile(join(folder, slot), 'x');
  repository.objects.delete('timestamp');
  await expect(tell()).rejects.toThrow('does not have it');
  await expect(tell()).rejects.toThrow('does not have it');
  expect(told).toBe(1);
});

test('a root that does not hold up to itself is not trusted, wherever it comes from', async () => {
  await writeFile(join(folder, 'root.json'), repository.factoryRoot.replace('2099-', '2098-'));
  await expectRefusal('refused.metadata-signature', 'root was signed by 0/1 keys');
  expect(source.reads).toEqual([]);
});

test('a release below the signed floor is refused by name, one at the floor is not', async () => {
  repository.publish('1.1.0', []);
  repository.floors = { demo: 2, other: 9 };
  repository.signTargets();
  await expectFloor('its counter is 1, below the signed floor of 2');
  path = [...repository.paths][1] ?? '';
  expect(await lookUp()).toMatchObject({ ok: true });
});

test('a floor outlives the metadata that set it, and a fast-forward recovery', async () => {
  repository.floors = { demo: 5 };
  repository.signTargets();
  await expectFloor('below the signed floor of 5');
  repository.floors = {};
  repository.rotate('timestamp', 'snapshot', 'targets');
  repository.signTargets();
  await expectFloor('below the signed floor of 5');
});

test('a floor that is no count is refused, not read as none', async () => {
  repository.floors = { demo: -1 };
  repository.signTargets();
  expect(await lookUp()).toMatchObject({
    ok: false,
    code: 'refused.metadata-malformed',
    message: expect.stringContaining('x-wherry-floors must give whole numbers'),
  });
});

async function expectFloor(words: string): Promise<void> {
  const verdict = await lookUp();
  expect(verdict).toMatchObject({ ok: false, code: 'refused.floor' });
  expect(verdict.ok ? '' : verdict.message).toContain(words);
}

test('a release of a delegated role is found, kept, and refused once the role signs for other paths', async () => {
  const team = { paths: ['releases/demo/*/manifest.json'], by: repository.newKey(), releases: [path] };
  repository.delegated.set('team', team);
  repository.signTargets();
  expect(await lookUp()).toMatchObject({ ok: true });
  expect(JSON.parse((await held()).delegated?.['team'] ?? '{}').signed.version).toBe(
    repository.versions.targets,
  );
  team.paths = ['releases/other/*/manifest.json'];
  repository.signTargets();
  expect(await lookUp()).toMatchObject({ ok: false, code: 'refused.target-missing' });
});

test('a delegated role by another key is refused', async () => {
  const team = { paths: ['*/*/*/*'], by: repository.newKey(), releases: [path] };
  repository.delegated.set('team', team);
  repository.signTargets();
  const forged = JSON.parse(copyOf(`delegated-team-${repository.versions.targets}`).toString());
  forged.signatures[0].sig = '00'.repeat(64);
  put(`delegated-team-${repository.versions.targets}`, JSON.stringify(forged));
  expect(await lookUp()).toMatchObject({
    ok: false,
    code: 'refused.metadata-signature',
    message: expect.stringContaining('team was signed by 0/1 keys'),
  });
  expect((await held()).delegated).toBeUndefined();
});

test.each([
  '../targets',
  'Team',
  'a'.repeat(33),
  '',
])('no object is asked for by the role name "%s"', async (role) => {
  repository.delegated.set(role, { paths: ['*/*/*/*'], by: repository.newKey(), releases: [path] });
  repository.signTargets();
  expect(await lookUp()).toMatchObject({ ok: false, code: 'refused.metadata-malformed' });
  expect(source.reads.every((object) => /^(?:root-2|timestamp|(?:snapshot|targets)-\d+)$/.test(object))).toBe(
    true,
  );
});

test('a root without consistent snapshots is refused: objects are named by version', async () => {
  repository.isConsistent = false;
  repository.signRoot();
  await expectRefusal('refused.metadata-malformed', 'no consistent snapshots');
});

test('each role is durable before the next is asked for', async () => {
  repository.rotate('root');
  const seen: string[] = [];
  source.onRead = async (object) => {
    const versions = (['root', 'timestamp', 'snapshot'] as const).map(versionHeld);
    seen.push(`${object} after ${(await Promise.all(versions)).join()}`);
  };
  expect(await lookUp()).toMatchObject({ ok: true });
  expect(seen).toEqual([
    'root-2 after 1,,',
    'root-3 after 2,,',
    'timestamp after 2,,',
    'snapshot-2 after 2,2,',
    'targets-2 after 2,2,2',
  ]);
  expect(await versionHeld('targets')).toBe(2);
});

test('what cannot be saved is not trusted', async () => {
  const store = trustStore();
  const full = Object.assign(store, {
    save: () => Promise.reject(Object.assign(new Error('disk full'), { code: 'ENOSPC' })),
  });
  await expect(lookUp(full)).rejects.toThrow('disk full');
  expect(await trustStore().load()).toMatchObject({ origin: 'factory' });
});
