import { readdir } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TufSimulator } from '../support/tuf-simulator.ts';
import { type ClientBench, openBench } from './bench.ts';

/** What the public tuf-conformance suite asks of artifacts. */
let bench: ClientBench;
let repository: TufSimulator;

beforeEach(async () => {
  bench = await openBench();
  repository = bench.repository;
  await bench.init();
});
afterEach(() => bench.close());

const publish = () => repository.publish('targets', 'snapshot', 'timestamp');

test.each([
  'target_file.txt',
  'path/to/a/target_file.txt',
])('%s is downloaded, and a refresh alone downloads nothing', async (path) => {
  repository.addTarget('targets', path, 'target file contents');
  publish();
  expect(await bench.refresh()).toBe(0);
  expect(await bench.downloaded()).toEqual([]);
  expect(await bench.download(path)).toBe(0);
  expect(await bench.downloaded()).toEqual(['target file contents']);
});

test('what is there already is not fetched again; what was swapped is not kept', async () => {
  repository.addTarget('targets', 'one', 'good one');
  repository.addTarget('targets', 'two', 'good two');
  publish();
  expect(await bench.download('one')).toBe(0);
  for (const path of ['one', 'two']) repository.artifacts[path] = Buffer.from('bad!!!!!');
  expect(await bench.download('one')).toBe(0);
  expect(repository.targetRequests).toHaveLength(1);
  expect(await bench.download('two')).toBe(1);
  expect(bench.said).toContain('Cannot accept two: its sha256 is');
  expect(await bench.downloaded()).toEqual(['good one']);
});

test.each(['longer than it was signed', 'short'])('an artifact "%s" is refused', async (content) => {
  repository.addTarget('targets', 'file', 'as signed');
  publish();
  repository.artifacts['file'] = Buffer.from(content);
  expect(await bench.download('file')).toBe(1);
  expect(await readdir(bench.targetsDir).catch(() => [])).toEqual([]);
});

test('a changed artifact takes the place of the one before, and one that metadata does not name never does', async () => {
  repository.addTarget('targets', 'file', 'first');
  publish();
  expect(await bench.download('file')).toBe(0);
  for (let round = 0; round < 5; round++) {
    repository.addTarget('targets', 'file', `round ${round}`);
    repository.addTarget('targets', `new-${round}`, `new ${round}`);
    publish();
    expect(await bench.download('file')).toBe(0);
    expect(await bench.download(`new-${round}`)).toBe(0);
    expect(await bench.downloaded()).toContain(`round ${round}`);
    repository.artifacts['file'] = Buffer.from(`wrong ${round}`);
    publish();
    await bench.download('file');
    expect(await bench.downloaded()).toContain(`round ${round}`);
  }
  expect(await bench.downloaded()).toHaveLength(6);
});

test.each([
  [['sha256']],
  [['sha512']],
  [['sha256', 'sha512']],
])('an artifact is known by %s', async (algorithms) => {
  repository.addTarget('targets', 'file', 'content', algorithms);
  publish();
  expect(await bench.download('file')).toBe(0);
  const { hashes } = repository.role('targets').targets['file'] ?? { hashes: {} };
  expect(Object.values(hashes).map((hash) => `${hash}.file`)).toContain(repository.targetRequests[0]);
  expect(await bench.downloaded()).toEqual(['content']);
});

test('an artifact known by an unknown kind of hash alone is refused', async () => {
  repository.addTarget('targets', 'file', 'content');
  Object.assign(repository.role('targets').targets['file'] ?? {}, {
    hashes: { 'unknown-hash': 'ab'.repeat(32) },
  });
  publish();
  expect(await bench.download('file')).toBe(1);
  expect(await bench.downloaded()).toEqual([]);
});
