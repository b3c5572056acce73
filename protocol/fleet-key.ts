import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import type { FromSchema } from 'json-schema-to-ts';
import { isSignedBy, signatureSchema, signText } from './signed-text.ts';
import { validator } from './validate.ts';

/**
 * A change of the server's fleet key: the new key, signed by the one before and by itself. A device that knows any
 * earlier key follows the chain; nobody without the key it knows can hand it another.
 */
export const keyChangeSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['payload', 'signature', 'proof'],
  properties: {
    /** The exact JSON text that both signed. */
    payload: { type: 'string', maxLength: 2048 },
    /** By the key before. */
    signature: signatureSchema,
    /** By the new key: whoever announces a key must hold it. */
    proof: signatureSchema,
  },
} as const;
export type KeyChange = FromSchema<typeof keyChangeSchema>;

/** Changes that a server sends with an assignment, oldest first. */
export const KEY_CHANGES_MAX = 32;
export const keyChangesSchema = { type: 'array', items: keyChangeSchema, maxItems: KEY_CHANGES_MAX } as const;

const payloadSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['type', 'v', 'key', 'previous', 'at'],
  properties: {
    type: { const: 'fleet-key' },
    v: { const: 1 },
    /** SPKI PEM. */
    key: { type: 'string', maxLength: 1024 },
    /** sha256 of the SPKI DER of the key before, hex. */
    previous: { type: 'string', pattern: '^[0-9a-f]{64}$' },
    /** Unix ms. */
    at: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
  },
} as const;
type Payload = FromSchema<typeof payloadSchema>;
const checkPayload = validator<Payload>(payloadSchema);

export const pemOf = (key: KeyObject): string =>
  (key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'pem' }).toString();

/** sha256 of the SPKI DER, hex. `key` is SPKI PEM. */
export const fingerprintOf = (key: string): string =>
  createHash('sha256')
    .update(createPublicKey(key).export({ type: 'spki', format: 'der' }))
    .digest('hex');

export function signKeyChange(before: KeyObject, after: KeyObject, at: number): KeyChange {
  const body: Payload = {
    type: 'fleet-key',
    v: 1,
    key: pemOf(after),
    previous: fingerprintOf(pemOf(before)),
    at,
  };
  const payload = JSON.stringify(body);
  return { payload, signature: signText(payload, before), proof: signText(payload, after) };
}

/**
 * The newest key that the chain leads to from `trusted` (SPKI PEM): `trusted` itself when no change begins there, as
 * for a device that has followed them all. A change whose signatures do not hold ends the chain before it.
 */
export function followKeyChanges(trusted: string, changes: readonly KeyChange[]): string {
  let key = trusted;
  for (const change of changes) {
    const next = changeFrom(key, change);
    if (next !== undefined) key = next;
  }
  return key;
}

function changeFrom(key: string, { payload, signature, proof }: KeyChange): string | undefined {
  try {
    const body = checkPayload(JSON.parse(payload));
    if (!body.ok || body.value.previous !== fingerprintOf(key)) return undefined;
    const next = body.value.key;
    if (createPublicKey(next).asymmetricKeyType !== 'ed25519') return undefined;
    return isSignedBy(payload, signature, key) && isSignedBy(payload, proof, next) ? next : undefined;
  } catch {
    return undefined;
  }
}
