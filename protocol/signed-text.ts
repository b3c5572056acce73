import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

/** A signed document carries the exact text that was signed, so no canonical form is needed. ed25519 throughout. */
export const signatureSchema = {
  type: 'string',
  maxLength: 128,
  description: 'base64 of the 64-byte ed25519 signature',
} as const;

/** base64. */
export const signText = (text: string, privateKey: KeyObject): string =>
  sign(null, Buffer.from(text), privateKey).toString('base64');

/** `signature` in base64, `publicKey` in SPKI PEM. Throws only for a PEM that is no key. */
export const isSignedBy = (text: string, signature: string, publicKey: string): boolean =>
  verify(null, Buffer.from(text), createPublicKey(publicKey), Buffer.from(signature, 'base64'));
