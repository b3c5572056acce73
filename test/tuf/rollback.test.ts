import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TufSimulator } from '../support/tuf-simulator.ts';
import { type ClientBench, openBench } from './bench.ts';

/** What the public tuf-conformance suite asks of rollbacks, and of the way back from a version run up by a thief. */
let bench: ClientBench;
let repository: TufSimulator;

beforeEach(async () => {
  bench = await openBench();
  repository = bench.repository;
  await bench.init();
});
afterEach(() => bench.close());

test('an older timestamp is refused', async () => {
  repository.publish('timestamp');
  expect(await bench.refresh()).toBe(0);
  repository.restart('timestamp');
  repository.publish('timestamp');
  expect(await bench.refresh()).toBe(1);
  expect(await bench.version('timestamp')).toBe(2);
});

test.each([
  false,
  true,
])('a timestamp that names an older snapshot is refused (hashes: %s)', async (hasHashes) => {
  repository.hasMetaHashes = hasHashes;
  repository.publish('snapshot', 'timestamp');
  expect(await bench.refresh()).toBe(0);
  repository.restart('snapshot');
  repository.publish('snapshot', 'timestamp');
  expect(await bench.refresh()).toBe(1);
  expect(await bench.trusted()).toEqual(['root 1', 'snapshot 2', 'targets 1', 'timestamp 2']);
  expect(repository.metadataRequests.at(-1)).toBe('timestamp');
});

test.each([false, true])('a snapshot that names older targets is refused (hashes: %s)', async (hasHashes) => {
  repository.hasMetaHashes = hasHashes;
  repository.publish('targets', 'snapshot', 'timestamp');
  expect(await bench.refresh()).toBe(0);
  repository.restart('targets');
  repository.publish('targets', 'snapshot', 'timestamp');
  expect(await bench.refresh()).toBe(1);
  expect(await bench.version('snapshot')).toBe(2);
  expect(await bench.version('targets')).toBe(2);
});

test('a snapshot that leaves a role out is refused', async () => {
  repository.delegate('targets', 'team');
  repository.publish('team', 'targets', 'snapshot', 'timestamp');
  expect(await bench.refresh()).toBe(0);
  delete repository.role('snapshot').meta['team.json'];
  repository.publish('snapshot', 'timestamp');
  expect(await bench.refresh()).toBe(1);
  expect(bench.said).toContain('team.json');
  expect(await bench.version('snapshot')).toBe(2);
});

test('a snapshot newer than what the timestamp names is not asked for', async () => {
  repository.publish('snapshot');
  repository.role('timestamp').meta['snapshot.json'] = { version: 1 };
  repository.publish('root', 'timestamp');
  expect(await bench.refresh()).toBe(0);
  expect(await bench.trusted()).toEqual(['root 2', 'snapshot 1', 'targets 1', 'timestamp 2']);
});

test('a new snapshot key lets targets start again', async () => {
  for (let version = 2; version <= 100; version++) repository.publish('targets');
  repository.publish('snapshot', 'timestamp');
  expect(await bench.refresh()).toBe(0);
  expect(await bench.version('targets')).toBe(100);
  repository.rotate('snapshot');
  repository.role('targets').version = 1;
  repository.served['targets'] = (repository.served['targets'] ?? []).slice(0, 1);
  repository.publish('root', 'targets', 'snapshot', 'timestamp');
  expect(await bench.refresh()).toBe(0);
  expect(await bench.version('targets')).toBe(2);
});

test('new snapshot and timestamp keys let snapshot start again', async () => {
  for (let version = 2; version <= 100; version++) repository.publish('snapshot');
  repository.publish('timestamp');
  expect(await bench.refresh()).toBe(0);
  repository.rotate('snapshot');
  repository.rotate('timestamp');
  repository.restart('snapshot');
  repository.publish('root', 'targets', 'snapshot', 'timestamp');
  expect(await bench.refresh()).toBe(0);
  expect(await bench.version('snapshot')).toBe(1);
});

test('a new timestamp key lets timestamp start again', async () => {
  for (let version = 2; version <= 100; version++) repository.publish('timestamp');
  expect(await bench.refresh()).toBe(0);
  expect(await bench.version('timestamp')).toBe(100);
  repository.rotate('timestamp');
  repository.restart('timestamp');
  repository.publish('root', 'targets', 'snapshot', 'timestamp');
  expect(await bench.refresh()).toBe(0);
  expect(await bench.version('timestamp')).toBe(1);
});

test('without new keys nothing starts again', async () => {
  for (let version = 2; version <= 9; version++) repository.publish('timestamp');
  expect(await bench.refresh()).toBe(0);
  repository.restart('timestamp');
  repository.publish('root', 'timestamp');
  expect(await bench.refresh()).toBe(1);
  expect(await bench.version('timestamp')).toBe(9);
});
