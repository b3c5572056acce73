import { Key } from '@tufjs/models';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LIMITS } from '../../protocol/limits.ts';
import { keyIdOf } from '../../protocol/tuf.ts';
import { newSigner, type Signer, type TufSimulator } from '../support/tuf-simulator.ts';
import { type ClientBench, openBench } from './bench.ts';

/** What the public tuf-conformance suite asks of keys, thresholds and rotations. */
const ALL = ['targets', 'snapshot', 'timestamp'];
let bench: ClientBench;
let repository: TufSimulator;

beforeEach(async () => {
  bench = await openBench();
  repository = bench.repository;
  await bench.init();
});
afterEach(() => bench.close());

const setThreshold = (role: string, threshold: number): void => {
  Object.assign(repository.role('root').roles[role] ?? {}, { threshold });
};
const renamed = ({ key, public: plain }: Signer, field: string): Signer => {
  const body = { ...plain.toJSON(), [field]: true };
  return { key, public: Key.fromJSON(keyIdOf(body), body) };
};

test('a snapshot below its threshold is refused', async () => {
  setThreshold('snapshot', 3);
  repository.addKey('snapshot');
  repository.addKey('snapshot');
  repository.publish('root', ...ALL);
  expect(await bench.refresh()).toBe(0);
  const [first] = repository.signers['snapshot']?.keys() ?? [];
  repository.signers['snapshot']?.delete(first ?? '');
  repository.publish(...ALL);
  expect(await bench.refresh()).toBe(1);
  expect(bench.said).toContain('snapshot was signed by 2/3 keys');
  expect(await bench.version('snapshot')).toBe(2);
});

test('a threshold that no set of keys can meet locks its role, not root', async () => {
  for (let count = 0; count < 4; count++) repository.addKey('snapshot');
  setThreshold('snapshot', 6);
  repository.publish('root', 'snapshot', 'timestamp');
  expect(await bench.refresh()).toBe(1);
  expect(await bench.trusted()).toEqual(['root 2', 'timestamp 2']);
});

test('a keyid for which root holds no key cannot sign, and is no fault', async () => {
  repository.role('root').roles['snapshot']?.keyids.push('0'.repeat(64));
  repository.publish('root');
  expect(await bench.refresh()).toBe(0);
  setThreshold('snapshot', 2);
  repository.publish('root');
  expect(await bench.refresh()).toBe(1);
});

test('one keyid named many times, with its signature many times, is one signer', async () => {
  const signer = repository.addKey('snapshot');
  const id = signer.public.keyID;
  for (let count = 0; count < 8; count++) repository.role('root').roles['snapshot']?.keyids.push(id);
  setThreshold('snapshot', 6);
  repository.publish('root', 'snapshot', 'timestamp');
  repository.amend('snapshot', ({ signatures }) => {
    const again = signatures.filter(({ keyid }) => keyid === id);
    for (let count = 0; count < 8; count++) signatures.push(...again);
  });
  expect(await bench.refresh()).toBe(1);
  expect(await bench.version('snapshot')).toBeUndefined();
});

test('one key under two names that are both its hash is one signer', async () => {
  const signer = newSigner('ecdsa');
  repository.addKey('snapshot', renamed(signer, 'first'));
  repository.addKey('snapshot', renamed(signer, 'second'));
  setThreshold('snapshot', 2);
  repository.publish('root', 'snapshot', 'timestamp');
  expect(await bench.refresh()).toBe(1);
  expect(bench.said).toContain('role snapshot holds one key as');
  expect(await bench.trusted()).toEqual(['root 1']);
});

test('a keyid is the hash of its key, with the fields of other tools or without', async () => {
  const signer = newSigner();
  const extended = Key.fromJSON(signer.public.keyID, { ...signer.public.toJSON(), 'x-owner': '@jo' });
  repository.addKey('timestamp', { key: signer.key, public: extended });
  repository.addKey('timestamp', renamed(newSigner(), 'keyid_hash_algorithms'));
  setThreshold('timestamp', 3);
  repository.publish('root', ...ALL);
  expect(await bench.refresh()).toBe(0);
  const forged = Key.fromJSON('1'.repeat(64), { ...newSigner().public.toJSON() });
  repository.addKey('timestamp', { key: signer.key, public: forged });
  repository.publish('root');
  expect(await bench.refresh()).toBe(1);
  expect(bench.said).toContain('keyid 111111111111 is not the sha256 of its key');
  expect(await bench.version('root')).toBe(2);
});

test('two signatures by one keyid are refused, even above the threshold', async () => {
  repository.amend('snapshot', ({ signatures }) => signatures.push(...signatures));
  expect(await bench.refresh()).toBe(1);
  expect(await bench.version('snapshot')).toBeUndefined();
});

test.each([
  'ed25519',
  'ecdsa',
  'rsa',
] as const)('%s keys sign, and a signature that only looks right does not', async (kind) => {
  const signer = repository.addKey('root', newSigner(kind));
  setThreshold('root', 2);
  repository.publish('root');
  expect(await bench.refresh()).toBe(0);
  expect(await bench.version('root')).toBe(2);
  repository.publish('root');
  const other = repository.signers['root'] && newSigner(kind);
  repository.amend('root', ({ signatures }) => {
    const own = signatures.find(({ keyid }) => keyid === signer.public.keyID);
    // Of the right form, by a stranger's key over another text.
    if (own && other)
      own.sig = own.sig.replace(/.{8}$/, (end) => (end === '00000000' ? '11111111' : '00000000'));
  });
  expect(await bench.refresh()).toBe(1);
  expect(await bench.version('root')).toBe(2);
});

test('a bad or empty signature beside enough good ones does no harm', async () => {
  repository.addKey('timestamp');
  repository.publish('root', 'timestamp');
  for (const sig of ['00ff'.repeat(16), '', 'not hexadecimal']) {
    repository.publish('timestamp');
    repository.amend('timestamp', ({ signatures }) => Object.assign(signatures[0] ?? {}, { sig }));
    expect(await bench.refresh()).toBe(0);
  }
});

test('a refresh walks a bounded number of roots', { timeout: 30_000 }, async () => {
  for (let version = 0; version < LIMITS.rootSteps + 2; version++) repository.publish('root');
  expect(await bench.refresh()).toBe(0);
  expect(await bench.version('root')).toBe(LIMITS.rootSteps + 1);
});

interface Version {
  keys: number[];
  threshold: number;
  by: number[];
}
const FIVE = { keys: [0, 1, 2, 3, 4], threshold: 3 };
const OTHER_FIVE = { keys: [0, 1, 3, 4, 5], threshold: 3 };
const GOOD_ROOTS: [string, Version[]][] = [
  ['another key', [one(1, 1), one(2, 2, 1), one(2, 2)]],
  ['another key, among signatures of strangers', [one(1, 3, 1, 4), one(2, 3, 2, 1, 4), one(2, 3, 2, 4)]],
  [
    '3 of 5 by whoever is there',
    [
      { ...FIVE, by: [0, 2, 4] },
      { ...FIVE, by: [0, 4, 1] },
      { ...FIVE, by: [0, 1, 3] },
    ],
  ],
  [
    'one of five replaced',
    [
      { ...FIVE, by: [0, 2, 4] },
      { ...OTHER_FIVE, by: [0, 4, 1] },
    ],
  ],
  [
    'one of five replaced by who is leaving too',
    [
      { ...FIVE, by: [0, 2, 4] },
      { ...OTHER_FIVE, by: [0, 2, 4, 5] },
      { ...OTHER_FIVE, by: [0, 4, 5] },
    ],
  ],
  [
    'all five replaced',
    [
      { ...FIVE, by: [0, 2, 4] },
      { keys: [5, 6, 7, 8, 9], threshold: 3, by: [0, 2, 4, 5, 6, 7] },
      { keys: [5, 6, 7, 8, 9], threshold: 3, by: [5, 6, 7] },
    ],
  ],
  ['a higher threshold', [three(1, 1), three(2, 1, 2)]],
  ['a lower threshold', [three(2, 1, 2), three(1, 1, 2), three(1, 1)]],
  ['one key more and a higher threshold', [one(1, 1), { keys: [1, 2], threshold: 2, by: [1, 2] }]],
];
const BAD_ROOTS: [string, Version[]][] = [
  ['without the old key', [one(1, 1), one(2, 2, 3, 4)]],
  ['without the new key', [one(1, 1), one(2, 1, 3, 4)]],
  [
    'with too few of the new keys',
    [
      { ...FIVE, by: [0, 2, 4] },
      { ...OTHER_FIVE, by: [0, 2, 4] },
    ],
  ],
  [
    'with too few of the old keys',
    [
      { ...FIVE, by: [0, 2, 4] },
      { ...OTHER_FIVE, by: [0, 4, 5] },
    ],
  ],
  ['below the new threshold', [three(1, 1), three(2, 2)]],
  ['below the old threshold', [three(2, 1, 2), three(1, 1)]],
];

function one(key: number, ...by: number[]): Version {
  return { keys: [key], threshold: 1, by };
}
function three(threshold: number, ...by: number[]): Version {
  return { keys: [1, 2, 3], threshold, by };
}

async function walk(versions: Version[]): Promise<number> {
  const signers = Array.from({ length: 10 }, () => newSigner());
  repository.restart('root');
  for (const { keys, threshold, by } of versions) {
    repository.dropKeys('root');
    setThreshold('root', threshold);
    for (const key of keys) repository.addKey('root', signers[key]);
    repository.signers['root'] = new Map();
    for (const key of by) repository.addSigner('root', signers[key] ?? newSigner());
    repository.publish('root');
  }
  await bench.init();
  return bench.refresh();
}

test.each(GOOD_ROOTS)('root goes on with %s', async (_what, versions) => {
  expect(await walk(versions)).toBe(0);
  expect(await bench.text('root')).toBe(repository.served['root']?.at(-1));
});

test.each(BAD_ROOTS)('root does not go on %s', async (_what, versions) => {
  expect(await walk(versions)).toBe(1);
  expect(await bench.text('root')).toBe(repository.served['root']?.at(-2));
});

const ROLES: [string, Version, 0 | 1][] = [
  ['by its new key', one(2, 2), 0],
  ['by its key among strangers', one(1, 3, 1, 4), 0],
  ['by its old key', one(2, 1, 3, 4), 1],
  ['by one too few of five', { ...OTHER_FIVE, by: [0, 2, 4] }, 1],
  ['by two of three', { ...OTHER_FIVE, by: [0, 4] }, 1],
  ['by three of five', { ...FIVE, by: [0, 2, 4] }, 0],
  ['by three others of five', { ...FIVE, by: [4, 3, 1] }, 0],
];
test.each(
  ALL.flatMap((role) => ROLES.map(([what, version, code]) => [role, what, version, code] as const)),
)('%s signed %s', async (role, _what, { keys, threshold, by }, code) => {
  const signers = Array.from({ length: 6 }, () => newSigner());
  repository.dropKeys(role);
  setThreshold(role, threshold);
  for (const key of keys) repository.addKey(role, signers[key]);
  repository.signers[role] = new Map();
  for (const key of by) repository.addSigner(role, signers[key] ?? newSigner());
  repository.publish('root', ...ALL);
  expect(await bench.refresh()).toBe(code);
  expect(await bench.text(role)).toBe(code === 0 ? repository.served[role]?.at(-1) : undefined);
});
