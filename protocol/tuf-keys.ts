import {
  constants,
  createPublicKey,
  type JsonWebKey,
  type KeyObject,
  sign as signBytes,
  verify as verifyBytes,
} from 'node:crypto';
import { Key } from '@tufjs/models';
import { sha256Hex } from './canonical.ts';
import { tufCanonical } from './tuf-canonical.ts';

/** A public key as TUF metadata holds it. TUF 1.0.34 §4.2. */
export interface PublicKey {
  keytype: string;
  scheme: string;
  keyval: { public: string };
}

const P256 = 'ecdsa-sha2-nistp256';
const PEM_HEADER = '-----BEGIN PUBLIC KEY-----';
/** What stands before the raw key in its DER form. RFC 8410; SEC 1 uncompressed point on P-256. */
const DER_PREFIX = {
  ed25519: '302a300506032b6570032100',
  p256: '3059301306072a8648ce3d020106082a8648ce3d030107034200',
} as const;
const RSA_BITS = { least: 2048, most: 8192 } as const;

/** keyid = sha256 of the key's canonical JSON. TUF 1.0.34 §4.2. */
export const keyIdOf = (key: object): string => sha256Hex(tufCanonical(key));

/**
 * Whether `id` is the hash of `key`: of all of it, or of keytype, scheme and keyval alone. Signing tools add fields of
 * their own to a key after its keyid was made; as keyval is covered either way, a keyid never stands for two keys.
 */
export function isKeyIdOf(id: string, key: Key): boolean {
  const { keyType: keytype, scheme, keyVal: keyval } = key;
  return id === keyIdOf(key.toJSON()) || id === keyIdOf({ keytype, scheme, keyval });
}

/**
 * What the key is, whatever it is called: two keys of one material are one signer. The keyid cannot tell, since a
 * field added to a key gives the same key another keyid.
 */
export function materialOf(key: Key): string {
  const publicKey = publicKeyOf(key);
  return publicKey
    ? tufCanonical(publicKey.export({ format: 'jwk' }) as JsonWebKey)
    : tufCanonical([key.keyType, key.keyVal]);
}

/** Whether `signature` (hex) is the key's over `bytes`. False also for a key of a kind that is not supported. */
export function isSignedBy(key: Key, bytes: Buffer, signature: string): boolean {
  const publicKey = publicKeyOf(key);
  if (!publicKey || !/^(?:[0-9a-f]{2})+$/i.test(signature)) return false;
  try {
    return verifyBytes(digestOf(publicKey), bytes, paddingOf(publicKey), Buffer.from(signature, 'hex'));
  } catch {
    return false;
  }
}

/** The signature (hex) that `isSignedBy` takes. */
export const signatureOf = (key: KeyObject, bytes: Buffer): string =>
  signBytes(digestOf(key), bytes, paddingOf(key)).toString('hex');

/** The TUF form of a public or private key; throws for other kinds than ed25519, ECDSA P-256 and RSA. */
export function tufKeyOf(key: KeyObject): Key {
  const publicKey =
    key.type === 'private' ? createPublicKey(key.export({ type: 'pkcs8', format: 'pem' })) : key;
  const body = bodyOf(publicKey);
  return Key.fromJSON(keyIdOf(body), { ...body });
}

function bodyOf(publicKey: KeyObject): PublicKey {
  const pem = () => ({ public: publicKey.export({ type: 'spki', format: 'pem' }).toString() });
  switch (publicKey.asymmetricKeyType) {
    case 'ed25519': {
      const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
      return { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: raw.toString('hex') } };
    }
    case 'ec':
      if (publicKey.asymmetricKeyDetails?.namedCurve === 'prime256v1')
        return { keytype: 'ecdsa', scheme: P256, keyval: pem() };
      break;
    case 'rsa':
      return { keytype: 'rsa', scheme: 'rsassa-pss-sha256', keyval: pem() };
  }
  throw new TypeError(
    `Cannot use a ${publicKey.asymmetricKeyType} key: wanted ed25519, ECDSA P-256 or RSA of ${RSA_BITS.least} bits and more`,
  );
}

/** Undefined when the key is of a kind, scheme, curve or size that is not supported, or broken. */
function publicKeyOf({ keyType, scheme, keyVal }: Key): KeyObject | undefined {
  const text = keyVal['public'];
  if (text === undefined) return undefined;
  try {
    if (keyType === 'ed25519' && scheme === 'ed25519') return ofType(read(text, 'ed25519'), 'ed25519');
    if ((keyType === 'ecdsa' || keyType === P256) && scheme === P256) {
      const key = ofType(read(text, 'p256'), 'ec');
      return key?.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? key : undefined;
    }
    if (keyType === 'rsa' && scheme === 'rsassa-pss-sha256') {
      const key = text.startsWith(PEM_HEADER) ? ofType(createPublicKey(text), 'rsa') : undefined;
      const bits = key?.asymmetricKeyDetails?.modulusLength ?? 0;
      return bits >= RSA_BITS.least && bits <= RSA_BITS.most ? key : undefined;
    }
    return undefined;
  } catch {
    return undefined;
  }
}

const read = (text: string, kind: keyof typeof DER_PREFIX): KeyObject =>
  text.startsWith(PEM_HEADER)
    ? createPublicKey(text)
    : createPublicKey({ key: Buffer.from(DER_PREFIX[kind] + text, 'hex'), format: 'der', type: 'spki' });

const ofType = (key: KeyObject, type: 'ed25519' | 'ec' | 'rsa'): KeyObject | undefined =>
  key.asymmetricKeyType === type ? key : undefined;

const digestOf = ({ asymmetricKeyType }: KeyObject): string | null =>
  asymmetricKeyType === 'ed25519' ? null : 'sha256';

/** PSS with a salt as long as the digest; a verifier takes any length. */
const paddingOf = (key: KeyObject) =>
  key.asymmetricKeyType !== 'rsa'
    ? { key }
    : {
        key,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength:
          key.type === 'private' ? constants.RSA_PSS_SALTLEN_DIGEST : constants.RSA_PSS_SALTLEN_AUTO,
      };
