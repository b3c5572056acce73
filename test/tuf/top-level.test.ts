import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { Key } from '@tufjs/models';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LIMITS } from '../../protocol/limits.ts';
import { keyIdOf } from '../../protocol/tuf.ts';
import { isoDate, newSigner, type TufSimulator } from '../support/tuf-simulator.ts';
import { type ClientBench, openBench } from './bench.ts';

/**
 * What the public tuf-conformance suite asks of refresh, over real HTTP against the conformance client. The suite
 * itself is not part of this project: these cases were written anew after what it tests.
 */
const DAY_MS = 86_400_000;
const ALL = ['targets', 'snapshot', 'timestamp'];
let bench: ClientBench;
let repository: TufSimulator;

beforeEach(async () => {
  bench = await openBench();
  repository = bench.repository;
  await bench.init();
});
afterEach(() => bench.close());

test('a first refresh asks for each role once, in order, and keeps the very bytes', async () => {
  repository.served['timestamp'] = [`${repository.served['timestamp']?.[0]} `];
  expect(await bench.refresh()).toBe(0);
  expect(repository.metadataRequests).toEqual(['2.root', 'timestamp', '1.snapshot', '1.targets']);
  for (const role of ['root', 'timestamp', 'snapshot', 'targets'])
    expect(await bench.text(role)).toBe(repository.served[role]?.[0]);
});

test('a download refreshes first, also when the target does not exist', async () => {
  expect(await bench.download('nonexistent artifact')).toBe(1);
  expect(repository.metadataRequests).toEqual(['2.root', 'timestamp', '1.snapshot', '1.targets']);
  expect(await bench.trusted()).toEqual(['root 1', 'snapshot 1', 'targets 1', 'timestamp 1']);
});

test.each([
  ['without a version', (text: string) => text.replace(/"version":1,/, '')],
  ['with a wrong signature', (text: string) => text.replace(/"sig":"[0-9a-f]{8}/, '"sig":"00000000')],
  ['that is no JSON', () => '{'],
])('an initial root %s is not used and nothing is asked for', async (_what, change) => {
  await bench.init(change(repository.served['root']?.[0] ?? ''));
  expect(await bench.refresh()).toBe(1);
  expect(repository.metadataRequests).toEqual([]);
});

test.each([
  ['root', ['root 1']],
  ['timestamp', ['root 2']],
  ['snapshot', ['root 2', 'timestamp 2']],
  ['targets', ['root 2', 'snapshot 2', 'timestamp 2']],
])('an unsigned %s is refused, and what came before it is kept', async (role, kept) => {
  repository.signers[role]?.clear();
  repository.publish('root', ...ALL);
  expect(await bench.refresh()).toBe(1);
  expect(await bench.trusted()).toEqual(kept);
});

test.each([
  ['root', ['root 1']],
  ['snapshot', ['root 2', 'timestamp 2']],
  ['targets', ['root 2', 'snapshot 2', 'timestamp 2']],
])('a %s whose version is not the one in its name is refused', async (role, kept) => {
  repository.role(role).version += 1;
  for (const each of ['root', ...ALL]) {
    repository.publish(each);
    const entry = repository.role(each === 'snapshot' ? 'timestamp' : 'snapshot').meta[`${each}.json`];
    // Named as the second version, under which it is served: it says itself that it is the third.
    if (entry && each === role) entry.version = 2;
  }
  expect(await bench.refresh()).toBe(1);
  expect(bench.said).toContain('version is 3; wanted 2');
  expect(await bench.trusted()).toEqual(kept);
});

test('another timestamp of the same version changes nothing', async () => {
  await bench.refresh();
  const before = await bench.text('timestamp');
  const entry = repository.role('timestamp').meta['snapshot.json'];
  if (entry) entry.version = 100;
  repository.restart('timestamp');
  repository.publish('timestamp');
  expect(await bench.refresh()).toBe(0);
  expect(repository.metadataRequests.at(-1)).toBe('timestamp');
  expect(await bench.text('timestamp')).toBe(before);
});

test('lengths and hashes of metadata are held to where they are given', async () => {
  repository.hasMetaHashes = true;
  repository.publish(...ALL);
  expect(await bench.refresh()).toBe(0);
  repository.publish('targets');
  const entry = repository.role('snapshot').meta['targets.json'];
  if (entry) entry.hashes = { sha256: 'ab'.repeat(32) };
  repository.publish('snapshot', 'timestamp');
  expect(await bench.refresh()).toBe(1);
  expect(await bench.version('snapshot')).toBe(3);
  expect(await bench.version('targets')).toBe(2);
});

test('a hash of a kind that nobody knows, alone, is no hash', async () => {
  repository.publish('targets');
  const entry = repository.role('snapshot').meta['targets.json'];
  if (entry) entry.hashes = { md5: 'ab'.repeat(16) };
  repository.publish('snapshot', 'timestamp');
  expect(await bench.refresh()).toBe(1);
  expect(bench.said).toContain('targets.json has no sha256, sha384 or sha512');
});

test.each([
  'snapshot',
  'targets',
])('targets or a snapshot that is not there yet (%s) fails the refresh', async (role) => {
  await bench.refresh();
  const above = role === 'snapshot' ? 'timestamp' : 'snapshot';
  const entry = repository.role(above).meta[`${role}.json`];
  if (entry) entry.version += 1;
  repository.publish(...(role === 'snapshot' ? ['timestamp'] : ['snapshot', 'timestamp']));
  expect(await bench.refresh()).toBe(1);
  expect(repository.metadataRequests.at(-1)).toBe(`2.${role}`);
  expect(await bench.version(role)).toBe(1);
  expect(await bench.version('timestamp')).toBe(2);
});

test('a repository without a timestamp fails the refresh', async () => {
  await bench.refresh();
  delete repository.served['timestamp'];
  expect(await bench.refresh()).toBe(1);
  expect(repository.metadataRequests.at(-1)).toBe('timestamp');
});

test('targets newer than what the snapshot names are not asked for', async () => {
  await bench.refresh();
  repository.publish('targets');
  expect(await bench.refresh()).toBe(0);
  expect(await bench.version('targets')).toBe(1);
  expect(repository.metadataRequests.at(-1)).toBe('timestamp');
});

test('a snapshot signed by the timestamp key too is no timestamp', async () => {
  const [timestampSigner] = [...(repository.signers['timestamp']?.values() ?? [])];
  if (timestampSigner) repository.addKey('snapshot', timestampSigner);
  repository.role('snapshot').meta = { 'snapshot.json': { version: 1 } };
  repository.publish('root', 'snapshot');
  repository.served['timestamp']?.push(repository.served['snapshot']?.pop() ?? '');
  expect(await bench.refresh()).toBe(1);
  expect(await bench.trusted()).toEqual(['root 2']);
});

test('a snapshot that does not name targets is refused', async () => {
  repository.role('snapshot').meta = {};
  repository.publish('snapshot', 'timestamp');
  expect(await bench.refresh()).toBe(1);
  expect(bench.said).toContain('it does not name targets.json');
});

test('fields that nobody knows are covered by the signatures and carried along', async () => {
  await bench.refresh();
  const { key, public: plain } = newSigner('ecdsa');
  const named = { ...plain.toJSON(), 'extra-field': { a: 1, b: [2] } };
  const signer = { key, public: Key.fromJSON(keyIdOf(named), named) };
  const root = repository.role('root');
  root['custom-field'] = 'value "with" \\ quotes\n';
  for (const role of Object.values(root.roles)) role['another-field'] = null;
  repository.addKey('root', signer);
  repository.publish('root');
  expect(await bench.refresh()).toBe(0);
  expect(await bench.version('root')).toBe(2);
  repository.publish('root');
  repository.served['root']?.push(repository.served['root']?.pop()?.replace('value ', 'other ') ?? '');
  expect(await bench.refresh()).toBe(1);
  expect(await bench.version('root')).toBe(2);
});

test.each([
  'root',
  'timestamp',
  'snapshot',
  'targets',
] as const)('a %s past its size is not read to the end', async (role) => {
  const most = {
    root: LIMITS.rootBytes,
    timestamp: LIMITS.timestampBytes,
    snapshot: LIMITS.snapshotBytes,
    targets: LIMITS.targetsBytes,
  };
  repository.role(role)['padding'] = 'x'.repeat(most[role]);
  repository.publish('root', ...ALL);
  expect(await bench.refresh()).toBe(1);
  expect(bench.said).toContain(`more than ${most[role]} bytes`);
  expect(await bench.version(role)).toBe(role === 'root' ? 1 : undefined);
});

test('without consistent snapshots the names hold no versions, except root', async () => {
  repository.role('root').consistent_snapshot = false;
  repository.addTarget('targets', 'dir/file', 'content');
  repository.publish('root', ...ALL);
  expect(await bench.download('dir/file')).toBe(0);
  expect(repository.metadataRequests).toEqual(['2.root', '3.root', 'timestamp', 'snapshot', 'targets']);
  expect(repository.targetRequests).toEqual(['dir/file']);
  expect(await bench.downloaded()).toEqual(['content']);
});

test('the clock of the machine decides what has expired', async () => {
  repository.role('root').expires = isoDate(Date.now() + 7 * DAY_MS);
  repository.publish('root');
  expect(await bench.refresh()).toBe(0);
  expect(await bench.refresh(Date.now() + 8 * DAY_MS)).toBe(1);
  expect(bench.said).toContain('root.json version 2: it expired');
});

const LAPSED = isoDate(Date.now() - 5 * DAY_MS);
test.each([
  ['root', ['root 2', 'snapshot 1', 'targets 1', 'timestamp 1']],
  ['timestamp', ['root 1', 'snapshot 1', 'targets 1', 'timestamp 1']],
  ['snapshot', ['root 1', 'snapshot 1', 'targets 1', 'timestamp 2']],
  ['targets', ['root 1', 'snapshot 2', 'targets 1', 'timestamp 2']],
])('an expired %s stops the refresh; an expired root is kept, being the newest', async (role, kept) => {
  expect(await bench.refresh()).toBe(0);
  repository.role(role).expires = LAPSED;
  if (role === 'root') repository.publish('root');
  else repository.publish(...ALL.slice(ALL.indexOf(role)));
  expect(await bench.refresh()).toBe(1);
  expect(await bench.trusted()).toEqual(kept);
});

test('local metadata that has expired still leads to fresh metadata', async () => {
  repository.role('timestamp').expires = isoDate(Date.now() + 7 * DAY_MS);
  repository.publish('timestamp');
  await bench.refresh();
  repository.role('timestamp').expires = isoDate(Date.now() + 21 * DAY_MS);
  repository.publish(...ALL);
  expect(await bench.refresh(Date.now() + 18 * DAY_MS)).toBe(0);
  expect(await bench.trusted()).toEqual(['root 1', 'snapshot 2', 'targets 2', 'timestamp 3']);
});

/** Not `bench.refresh`: the client in a process of its own, as the suite starts it. */
const npmClient = async (...args: string[]): Promise<number> => {
  const [program = '', ...before] = args;
  const child = spawn(
    program,
    [
      ...before,
      'run',
      '-s',
      'tuf-client',
      '--',
      '--metadata-dir',
      bench.metadataDir,
      '--metadata-url',
      `${bench.url}/metadata`,
      'refresh',
    ],
    { stdio: 'ignore' },
  );
  const [code] = await once(child, 'exit');
  return code as number;
};

test('npm starts the client, which reads the clock of the machine', { timeout: 30_000 }, async () => {
  repository.role('root').expires = isoDate(Date.now() + 7 * DAY_MS);
  repository.publish('root');
  expect(await npmClient('npm')).toBe(0);
  expect(await bench.trusted()).toEqual(['root 2', 'snapshot 1', 'targets 1', 'timestamp 1']);
  repository.role('root').expires = isoDate(Date.now() - DAY_MS);
  repository.publish('root');
  expect(await npmClient('npm')).toBe(1);
  expect(await bench.version('root')).toBe(3);
});

test.skipIf(spawnSync('faketime', ['--version']).error)(
  'faketime, which the suite uses, shifts that clock',
  { timeout: 30_000 },
  async () => {
    expect(await npmClient('faketime', '-f', '+31d', 'npm')).toBe(1);
    expect(await npmClient('faketime', '-f', '+29d', 'npm')).toBe(0);
  },
);
