import { generateKeyPairSync } from 'node:crypto';
import { Key } from '@tufjs/models';
import { expect, test } from 'vitest';
import { tufCanonical } from './tuf-canonical.ts';
import { isKeyIdOf, isSignedBy, keyIdOf, materialOf, signatureOf, tufKeyOf } from './tuf-keys.ts';

const KEYS = {
  ed25519: () => generateKeyPairSync('ed25519').privateKey,
  'ECDSA P-256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  RSA: () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
};
const TEXT = Buffer.from('what is signed');

test.each(Object.entries(KEYS))('%s signs and its public half holds the signature to it', (_kind, make) => {
  const key = make();
  const publicKey = tufKeyOf(key);
  const signature = signatureOf(key, TEXT);
  expect(isSignedBy(publicKey, TEXT, signature)).toBe(true);
  expect(isSignedBy(publicKey, Buffer.from('another text'), signature)).toBe(false);
  expect(isSignedBy(tufKeyOf(make()), TEXT, signature)).toBe(false);
  for (const broken of ['', 'zz', signature.slice(2), `${signature}00`])
    expect(isSignedBy(publicKey, TEXT, broken)).toBe(false);
});

test('keys of other kinds, curves, schemes and sizes sign nothing', () => {
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
  expect(() => tufKeyOf(p384)).toThrow(/wanted ed25519, ECDSA P-256 or RSA/);
  const key = KEYS.RSA();
  const { keyval } = tufKeyOf(key).toJSON() as { keyval: object };
  const as = (keytype: string, scheme: string) => Key.fromJSON('x', { keytype, scheme, keyval } as never);
  const signature = signatureOf(key, TEXT);
  expect(isSignedBy(as('rsa', 'rsassa-pss-sha256'), TEXT, signature)).toBe(true);
  for (const scheme of ['rsa-pkcs1v15-sha256', 'ecdsa-sha2-nistp256', 'ed25519'])
    expect(isSignedBy(as('rsa', scheme), TEXT, signature)).toBe(false);
  expect(isSignedBy(as('ecdsa', 'ecdsa-sha2-nistp256'), TEXT, signature)).toBe(false);
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
  expect(isSignedBy(tufKeyOf(short), TEXT, signatureOf(short, TEXT))).toBe(false);
});

test('a key as PEM and as hexadecimal is one material under two keyids', () => {
  const key = KEYS.ed25519();
  const hex = tufKeyOf(key);
  const pem = generatePem(hex);
  expect(materialOf(pem)).toBe(materialOf(hex));
  expect(pem.keyID).not.toBe(hex.keyID);
  expect(isKeyIdOf(pem.keyID, pem)).toBe(true);
  expect(isSignedBy(pem, TEXT, signatureOf(key, TEXT))).toBe(true);
  expect(materialOf(tufKeyOf(KEYS.ed25519()))).not.toBe(materialOf(hex));
});

function generatePem(hex: Key): Key {
  const der = Buffer.concat([
    Buffer.from('302a300506032b6570032100', 'hex'),
    Buffer.from(hex.keyVal['public'] ?? '', 'hex'),
  ]);
  const body = {
    keytype: 'ed25519',
    scheme: 'ed25519',
    keyval: { public: `-----BEGIN PUBLIC KEY-----\n${der.toString('base64')}\n-----END PUBLIC KEY-----\n` },
  };
  return Key.fromJSON(keyIdOf(body), body);
}

test('the keyid of a PEM key hashes its line ends as they are, and the fields of other tools', () => {
  // Computed with Python's hashlib over the canonical text written out by hand.
  const body = {
    'x-owner': '@jo',
    scheme: 'ecdsa-sha2-nistp256',
    keytype: 'ecdsa',
    keyval: {
      public:
        '-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEF5CMHoIGbiv03U9aOMKkNI41RF/1\nvN1Y7nGA/bgqmMIbuGaoQAXaFZbrdugA3cx1mTqUyw1wu2o8DYcgF5yP+g==\n-----END PUBLIC KEY-----\n',
    },
  };
  expect(keyIdOf(body)).toBe('517bcd970d38ebdd3dd76cb2247be1217a06fab77e8c16b91662eb68f8717f73');
});

test('canonical JSON sorts, escapes two characters only and takes whole numbers only', () => {
  expect(tufCanonical({ b: [1, true, null], a: 'x\n"\\é' })).toBe('{"a":"x\n\\"\\\\é","b":[1,true,null]}');
  for (const value of [1.5, Number.NaN, 2 ** 60, undefined])
    expect(() => tufCanonical(value)).toThrow(TypeError);
});
