import { afterEach, beforeEach, expect, test } from 'vitest';
import { sha256Hex } from '../../protocol/canonical.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { type Delegation, isoDate, type TufSimulator } from '../support/tuf-simulator.ts';
import { type ClientBench, openBench } from './bench.ts';

/** What the public tuf-conformance suite asks of delegated roles, and what its delegations leave open. */
const DAY_MS = 86_400_000;
let bench: ClientBench;
let repository: TufSimulator;

beforeEach(async () => {
  bench = await openBench();
  repository = bench.repository;
  await bench.init();
});
afterEach(() => bench.close());

type Edge = [from: string, to: string, change?: Partial<Delegation>];

/** Publishes the graph; the roles asked for after the top-level ones, in order, are what a search visits. */
function publish(edges: Edge[]): void {
  for (const [from, to, change] of edges) repository.delegate(from, to, change);
  const delegated = [...new Set(edges.map(([, to]) => to))];
  repository.publish(...delegated, 'targets', 'snapshot', 'timestamp');
}
const visited = () => repository.metadataRequests.slice(4).map((name) => name.replace(/^1\./, ''));
const PYTHON = { paths: ['*.py'] };

test.each<[string, Edge[], string]>([
  ['one', [['targets', 'A']], 'A'],
  [
    'two',
    [
      ['targets', 'A'],
      ['targets', 'B'],
    ],
    'A B',
  ],
  [
    'below the second',
    [
      ['targets', 'A'],
      ['targets', 'B'],
      ['B', 'C'],
    ],
    'A B C',
  ],
  [
    'below the first, before the second',
    [
      ['targets', 'A'],
      ['targets', 'B'],
      ['A', 'C'],
      ['A', 'D'],
    ],
    'A C D B',
  ],
  [
    'deep before wide',
    [
      ['targets', 'A'],
      ['targets', 'B'],
      ['A', 'C'],
      ['C', 'D'],
    ],
    'A C D B',
  ],
  [
    'nothing past a terminating role',
    [
      ['targets', 'A'],
      ['targets', 'B'],
      ['A', 'C', { terminating: true }],
      ['A', 'D'],
    ],
    'A C',
  ],
  [
    'below a terminating role',
    [
      ['targets', 'A'],
      ['targets', 'B'],
      ['A', 'C', { terminating: true }],
      ['C', 'D'],
    ],
    'A C D',
  ],
  [
    'past a terminating role of other paths',
    [
      ['targets', 'A', { ...PYTHON, terminating: true }],
      ['targets', 'B'],
    ],
    'B',
  ],
  [
    'nothing of other paths',
    [
      ['targets', 'A', PYTHON],
      ['targets', 'B'],
      ['A', 'C'],
    ],
    'B',
  ],
  [
    'nothing of other paths below',
    [
      ['targets', 'A'],
      ['targets', 'B'],
      ['A', 'C', PYTHON],
      ['C', 'D'],
    ],
    'A B',
  ],
  [
    'each once in a circle',
    [
      ['targets', 'A'],
      ['targets', 'B'],
      ['B', 'C'],
      ['C', 'D'],
      ['D', 'B'],
    ],
    'A B C D',
  ],
  [
    'a role of two delegators at the first',
    [
      ['targets', 'A'],
      ['targets', 'B'],
      ['B', 'C'],
      ['A', 'C'],
    ],
    'A C B',
  ],
  [
    'a role of two delegators where its paths fit',
    [
      ['targets', 'A'],
      ['targets', 'B'],
      ['B', 'C'],
      ['A', 'C', PYTHON],
    ],
    'A B C',
  ],
  [
    'in the order written, not that of numbers',
    [
      ['targets', '20'],
      ['targets', '3'],
      ['targets', '100'],
    ],
    '20 3 100',
  ],
])('a search visits %s', async (_what, edges, order) => {
  publish(edges);
  expect(await bench.download('missingpath')).toBe(1);
  expect(visited().join(' ')).toBe(order);
});

test.each([
  ['targetfile', ''],
  ['README.md', 'A'],
  ['releases/x/x_v1', 'B C'],
  ['releases/y/y_v1.zip', 'B D'],
])('%s is found and downloaded', async (path, order) => {
  tree();
  expect(await bench.download(path)).toBe(0);
  expect(visited().join(' ')).toBe(order);
  expect(await bench.downloaded()).toEqual([`content of ${path}`]);
});

test('a target that not every role on the way delegates is not found', async () => {
  tree();
  expect(await bench.download('releases/z/z_v1.zip')).toBe(1);
  expect(visited()).toEqual(['B']);
});

function tree(): void {
  for (const [role, path] of [
    ['A', 'README.md'],
    ['C', 'releases/x/x_v1'],
    ['D', 'releases/y/y_v1.zip'],
    ['D', 'releases/z/z_v1.zip'],
  ] as const) {
    if (!repository.signed[role]) repository.delegate(role === 'A' ? 'targets' : 'B', role, PATHS[role]);
    if (!repository.role('targets').delegations?.roles.some(({ name }) => name === 'B'))
      repository.delegate('targets', 'B', { paths: ['releases/*/*'] });
    repository.addTarget(role, path, `content of ${path}`);
  }
  repository.addTarget('targets', 'targetfile', 'content of targetfile');
  repository.publish('A', 'B', 'C', 'D', 'targets', 'snapshot', 'timestamp');
}
const PATHS: Record<string, Partial<Delegation>> = {
  A: { paths: ['*.doc', '*.md'] },
  C: { paths: ['releases/x/*'] },
  D: { paths: ['releases/y/*.zip'] },
};

test('paths are delegated by the start of their hash', async () => {
  const path = 'bin/tool';
  const prefix = sha256Hex(path).slice(0, 2);
  const other = prefix === '00' ? '01' : '00';
  repository.delegate('targets', 'left', { path_hash_prefixes: [other] });
  repository.delegate('targets', 'right', { path_hash_prefixes: [prefix] });
  repository.addTarget('right', path, 'right');
  repository.publish('left', 'right', 'targets', 'snapshot', 'timestamp');
  expect(await bench.download(path)).toBe(0);
  expect(visited()).toEqual(['right']);
});

test('a search gives up after as many roles as the limit says', async () => {
  const names = Array.from({ length: LIMITS.delegatedRoles + 3 }, (_, index) => `role-${index}`);
  publish(names.map((name): Edge => ['targets', name]));
  expect(await bench.download('missingpath')).toBe(1);
  expect(bench.said).toContain('given-up');
  expect(visited()).toHaveLength(LIMITS.delegatedRoles);
});

test.each([
  '?',
  '#',
  '/delegatedrole',
  '../delegatedrole',
  '..',
  '.',
  "it's (a) *role*!",
  'größe',
])('role name %s stays one part of a URL and of a file name', async (role) => {
  publish([['targets', role]]);
  expect(await bench.download('nonexistent target')).toBe(1);
  expect(bench.said).toContain('absent');
  const quoted = encodeURIComponent(role).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  expect(repository.metadataRequests).toContain(`1.${quoted}`);
  expect(await bench.trusted()).toHaveLength(5);
});

test('a role not signed by the keys of the one that delegates to it ends the search', async () => {
  publish([
    ['targets', 'A'],
    ['targets', 'B'],
  ]);
  repository.addTarget('B', 'file', 'content');
  repository.signers['A']?.clear();
  repository.publish('A', 'B', 'targets', 'snapshot', 'timestamp');
  expect(await bench.download('file')).toBe(1);
  expect(bench.said).toContain('A was signed by 0/1 keys');
  expect(await bench.trusted()).toEqual(['root 1', 'snapshot 3', 'targets 3', 'timestamp 3']);
});

test('a role that the snapshot does not name cannot be used', async () => {
  repository.delegate('targets', 'A');
  repository.publish('targets', 'snapshot', 'timestamp');
  expect(await bench.download('file')).toBe(1);
  expect(bench.said).toContain('it does not name A.json');
});

test('an expired delegated role is not trusted when it is first seen', async () => {
  repository.delegate('targets', 'delegated', { paths: ['delegatedpath/*'] });
  repository.role('delegated').expires = isoDate(Date.now() - DAY_MS);
  repository.addTarget('delegated', 'delegatedpath/target', 'content');
  repository.publish('delegated', 'targets', 'snapshot', 'timestamp');
  expect(await bench.refresh()).toBe(0);
  expect(await bench.download('delegatedpath/target')).toBe(1);
  expect(await bench.downloaded()).toEqual([]);
  expect(await bench.trusted()).toEqual(['root 1', 'snapshot 2', 'targets 2', 'timestamp 2']);
});

test('a delegated role that expires later is used no more, until there is a newer one', async () => {
  repository.delegate('targets', 'delegated', { paths: ['delegatedpath/*'] });
  repository.role('delegated').expires = isoDate(Date.now() + 7 * DAY_MS);
  repository.addTarget('delegated', 'delegatedpath/first', 'first');
  repository.addTarget('delegated', 'delegatedpath/second', 'second');
  repository.publish('delegated', 'targets', 'snapshot', 'timestamp');
  expect(await bench.download('delegatedpath/first')).toBe(0);
  const later = Date.now() + 18 * DAY_MS;
  expect(await bench.download('delegatedpath/second', later)).toBe(1);
  repository.role('delegated').expires = isoDate(Date.now() + 21 * DAY_MS);
  repository.publish('delegated', 'snapshot', 'timestamp');
  expect(await bench.download('delegatedpath/second', later)).toBe(0);
  expect(await bench.downloaded()).toEqual(['first', 'second']);
});

test('a delegated role that is at hand is not fetched again', async () => {
  publish([['targets', 'A']]);
  await bench.download('missingpath');
  repository.metadataRequests.length = 0;
  await bench.download('missingpath');
  expect(repository.metadataRequests).toEqual(['2.root', 'timestamp']);
});

test.each<[string, Partial<Delegation>, string]>([
  ['neither paths nor hashes', { paths: null as never }, 'is delegated no paths'],
  ['both paths and hashes', { paths: ['*'], path_hash_prefixes: ['00'] }, 'mutually exclusive'],
  ['hashes that are none', { path_hash_prefixes: ['XYZ'] }, 'not hexadecimal'],
  ['a threshold of 0', { threshold: 0 }, 'threshold'],
  ['the name of a top-level role', { name: 'snapshot' }, 'top-level'],
])('targets that delegate with %s are refused', async (_what, change, words) => {
  repository.delegate('targets', 'A', change);
  repository.publish('targets', 'snapshot', 'timestamp');
  expect(await bench.refresh()).toBe(1);
  expect(bench.said).toContain(words);
});

test('targets that delegate to succinct roles are refused by name', async () => {
  const { keys } = { keys: {} };
  repository.role('targets')['delegations'] = {
    keys,
    succinct_roles: { keyids: [], threshold: 1, bit_length: 8, name_prefix: 'bin' },
  } as never;
  repository.publish('targets', 'snapshot', 'timestamp');
  expect(await bench.refresh()).toBe(1);
  expect(bench.said).toContain('succinct roles, which are not supported');
});
