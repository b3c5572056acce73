import { expect, test } from 'vitest';
import { tufKeyOf } from '../protocol/tuf.ts';
import { parseKeyFile, sealKey, unsealKey } from './keys-file.ts';
import { newPrivateKey } from './keys-ring.ts';

const KEY = newPrivateKey('ecdsa-p256');
const FILE = await sealKey(KEY, 'root', 'correct horse');

test('a sealed key opens with its passphrase, and what is stored says nothing of it', async () => {
  const stored = parseKeyFile(JSON.stringify(FILE));
  expect(stored && tufKeyOf(await unsealKey(stored, 'correct horse')).keyID).toBe(FILE.keyid);
  const secret = KEY.export({ type: 'pkcs8', format: 'der' });
  expect(Buffer.from(FILE.sealed, 'base64').includes(secret.subarray(-32))).toBe(false);
});

test.each([
  ['another passphrase', {}, 'wrong horse'],
  ['another role', { role: 'targets' }, 'correct horse'],
  ['another public half', { public: tufKeyOf(newPrivateKey('ed25519')).toJSON() }, 'correct horse'],
  ['another content', { sealed: `AA${FILE.sealed.slice(2)}` }, 'correct horse'],
  ['no tag', { sealed: '' }, 'correct horse'],
  ['more work than this machine has memory for', { kdf: { ...FILE.kdf, N: 2 ** 30 } }, 'correct horse'],
])('%s does not open it', async (_what, change, passphrase) => {
  await expect(unsealKey({ ...FILE, ...change } as typeof FILE, passphrase)).rejects.toMatchObject({
    code: 'passphrase',
  });
});

test.each([
  '',
  '{',
  'null',
  '[]',
  '{"v":2}',
  JSON.stringify({ ...FILE, v: 2 }),
  JSON.stringify({ ...FILE, kdf: {} }),
])('%s is no key file', (text) => {
  expect(parseKeyFile(text)).toBeUndefined();
});
