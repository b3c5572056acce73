import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { expect, test } from 'vitest';
import { followKeyChanges, type KeyChange, pemOf, signKeyChange } from './fleet-key.ts';

const keys = Array.from({ length: 5 }, () => generateKeyPairSync('ed25519').privateKey);
const key = (index: number): KeyObject => keys[index] as KeyObject;
const pem = (index: number): string => pemOf(key(index));
const changes = [1, 2, 3].map((sequence) => signKeyChange(key(sequence - 1), key(sequence), sequence));
const [first, second, third] = changes as [KeyChange, KeyChange, KeyChange];

test('a device at any key of the chain gets to the newest one', () => {
  for (const at of [0, 1, 2, 3]) expect(followKeyChanges(pem(at), changes)).toBe(pem(3));
});

test('a change by a stranger leads nowhere', () => {
  const forged = signKeyChange(key(4), key(4), 1);
  const claimed = { ...signKeyChange(key(0), key(4), 1), signature: forged.signature };
  expect(followKeyChanges(pem(0), [forged, claimed])).toBe(pem(0));
});

test('a key that its announcer does not hold is not taken', () => {
  const borrowed = { ...signKeyChange(key(0), key(4), 1), proof: first.proof };
  expect(followKeyChanges(pem(0), [borrowed])).toBe(pem(0));
});

test('what does not belong to the chain is passed over, and a hole in it is its end', () => {
  const other = signKeyChange(key(4), key(0), 1);
  expect(followKeyChanges(pem(0), [other, first, second])).toBe(pem(2));
  expect(followKeyChanges(pem(0), [first, third])).toBe(pem(1));
  expect(
    followKeyChanges(pem(0), [
      { ...first, payload: '{' },
      { ...first, payload: '{}' },
    ]),
  ).toBe(pem(0));
});

test('nothing leads back to a key that was replaced', () => {
  expect(followKeyChanges(pem(3), changes)).toBe(pem(3));
});
