import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { pemOf } from './fleet-key.ts';
import { openTime, signTime } from './signed-time.ts';

const fleet = generateKeyPairSync('ed25519').privateKey;
const asked = { device: 'pi', nonce: 'ab'.repeat(16) };

test('the answer to the question is the time', () => {
  expect(openTime(signTime('pi', asked.nonce, 1234, fleet), asked, pemOf(fleet))).toBe(1234);
});

test('an answer to another question, to another device, by another key, or spoilt is none', () => {
  const stranger = generateKeyPairSync('ed25519').privateKey;
  const good = signTime('pi', asked.nonce, 1234, fleet);
  const answers = [
    signTime('pi', 'cd'.repeat(16), 1234, fleet),
    signTime('other', asked.nonce, 1234, fleet),
    signTime('pi', asked.nonce, 1234, stranger),
    { ...good, payload: good.payload.replace('1234', '9234') },
    { ...good, more: 1 },
    undefined,
  ];
  for (const answer of answers) expect(openTime(answer, asked, pemOf(fleet))).toBeUndefined();
});
