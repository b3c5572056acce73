import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { type Assignment, openAssignment, signAssignment } from './assignment.ts';
import { pemOf, signKeyChange } from './fleet-key.ts';

const fleet = generateKeyPairSync('ed25519');
const fleetPem = fleet.publicKey.export({ type: 'spki', format: 'pem' }).toString();
const assignment: Assignment = {
  type: 'assignment',
  v: 1,
  device: 'pi',
  board: 'raspberry-pi-4',
  generation: 3,
  release: { name: 'demo', version: '1.0.0', manifest: 'a'.repeat(64) },
  issuedAt: 1,
  expiresAt: 2,
};

test('an assignment signed by the fleet key opens', () => {
  expect(openAssignment(signAssignment(assignment, fleet.privateKey), fleetPem)).toEqual({
    ok: true,
    assignment,
    fleetKey: fleetPem,
  });
});

test('one signed by a key that followed the trusted one opens, and says what to trust from now on', () => {
  const next = generateKeyPairSync('ed25519').privateKey;
  const envelope = signAssignment(assignment, next, [signKeyChange(fleet.privateKey, next, 1)]);
  expect(openAssignment(envelope, fleetPem)).toEqual({ ok: true, assignment, fleetKey: pemOf(next) });
  expect(openAssignment(envelope, pemOf(next))).toMatchObject({ ok: true, fleetKey: pemOf(next) });
  const replaced = signAssignment(assignment, fleet.privateKey, envelope.keys);
  expect(openAssignment(replaced, fleetPem)).toMatchObject({
    ok: false,
    code: 'refused.assignment-signature',
  });
});

test('one signed by another key is refused', () => {
  const other = generateKeyPairSync('ed25519').privateKey;
  expect(openAssignment(signAssignment(assignment, other), fleetPem)).toMatchObject({
    ok: false,
    code: 'refused.assignment-signature',
  });
});

test('one whose payload was changed after signing is refused', () => {
  const envelope = signAssignment(assignment, fleet.privateKey);
  const changed = { ...envelope, payload: envelope.payload.replace('"generation":3', '"generation":9') };
  expect(openAssignment(changed, fleetPem)).toMatchObject({
    ok: false,
    code: 'refused.assignment-signature',
  });
});

test('nobody in between makes it urgent, or drops what it waits for', () => {
  const windows = [{ schedule: '0 2 * * 6', minutes: 60 }];
  const { payload, ...rest } = signAssignment({ ...assignment, policy: { windows } }, fleet.privateKey);
  const { policy: _policy, ...free } = JSON.parse(payload);
  const urgent = { ...free, policy: { urgent: { by: 'eve' } } };
  const verdicts = [free, urgent].map((changed) =>
    openAssignment({ ...rest, payload: JSON.stringify(changed) }, fleetPem),
  );
  const refused = { ok: false, code: 'refused.assignment-signature' };
  expect(verdicts).toEqual([expect.objectContaining(refused), expect.objectContaining(refused)]);
});

test('an unknown field is refused by name, in the envelope and in the payload', () => {
  const envelope = signAssignment(assignment, fleet.privateKey);
  expect(openAssignment({ ...envelope, extra: 1 }, fleetPem)).toMatchObject({
    code: 'refused.assignment-malformed',
    message: expect.stringContaining('extra'),
  });
  const odd = signAssignment({ ...assignment, rebot: true } as Assignment, fleet.privateKey);
  expect(openAssignment(odd, fleetPem)).toMatchObject({
    code: 'refused.assignment-malformed',
    message: expect.stringContaining('rebot'),
  });
});

test.each([undefined, null, 7, '', [], {}])('%j is not an assignment', (document) => {
  expect(openAssignment(document, fleetPem)).toMatchObject({
    ok: false,
    code: 'refused.assignment-malformed',
  });
});
