import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { Metadata, Root } from '@tufjs/models';
import { expect, test } from 'vitest';
import { parseRole, roleText, signersOf, signRole, tufKeyOf, verifyRole } from './tuf.ts';

const newKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey;

function rootOf(keys: KeyObject[], threshold: number, expires = '2040-01-01T00:00:00Z') {
  const root = new Root({ version: 1, specVersion: '1.0.31', expires });
  for (const role of ['root', 'targets', 'snapshot', 'timestamp']) {
    for (const key of keys) root.addKey(tufKeyOf(key), role);
    Object.assign(root.roles[role] ?? {}, { threshold });
  }
  return new Metadata(root);
}

test('root signed by its threshold is trusted, and its signers are named', () => {
  const keys = [newKey(), newKey()];
  const root = rootOf(keys, 2);
  for (const key of keys) signRole(root, key);
  const parsed = parseRole('root', roleText(root));
  expect(() => verifyRole(parsed, 'root', parsed)).not.toThrow();
  expect(signersOf(parsed, 'root', parsed).sort()).toEqual(keys.map((key) => tufKeyOf(key).keyID).sort());
});

test.each([
  ['one signature of two', (root: Metadata<Root>, [first]: KeyObject[]) => first && signRole(root, first)],
  ['a signature by a stranger', (root: Metadata<Root>) => signRole(root, newKey())],
  ['no signature', () => {}],
])('%s is not enough', (_what, signWith) => {
  const keys = [newKey(), newKey()];
  const root = rootOf(keys, 2);
  signWith(root, keys);
  const parsed = parseRole('root', roleText(root));
  expect(() => verifyRole(parsed, 'root', parsed)).toThrow(expect.objectContaining({ code: 'signature' }));
});

test('a byte changed after signing voids the signature', () => {
  const key = newKey();
  const root = rootOf([key], 1);
  signRole(root, key);
  const changed = parseRole('root', roleText(root).replace('2040-01-01', '2041-01-01'));
  expect(() => verifyRole(changed, 'root', changed)).toThrow(expect.objectContaining({ code: 'signature' }));
});

test('one key under two keyids cannot make a threshold of two', () => {
  const key = newKey();
  const root = rootOf([key], 1);
  signRole(root, key);
  const id = tufKeyOf(key).keyID;
  const forged = roleText(root).replaceAll(
    `"${id}": {`,
    `"${'0'.repeat(64)}": ${JSON.stringify(tufKeyOf(key).toJSON())}, "${id}": {`,
  );
  expect(() => parseRole('root', forged)).toThrow(/keyid 000000000000 is not the sha256 of its key/);
});

test.each([
  '2040-01-01',
  'never',
  '2040-13-01T00:00:00Z',
  '1 Jan 2040 UTC',
])('expires "%s" is refused, not read as for ever', (expires) => {
  expect(() => parseRole('root', roleText(rootOf([newKey()], 1, expires)))).toThrow(/expires/);
});

test.each([
  '',
  '{',
  '[]',
  'null',
  '{"signed":{}}',
  '{"signed":{"_type":"targets"},"signatures":[]}',
])('%s is not root metadata', (text) => {
  expect(() => parseRole('root', text)).toThrow(expect.objectContaining({ code: 'malformed' }));
});
