import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  type KeyObject,
  randomBytes,
  scrypt,
} from 'node:crypto';
import { promisify } from 'node:util';
import { type PublicKey, tufKeyOf } from '../protocol/tuf.ts';
import { tufCanonical } from '../protocol/tuf-canonical.ts';
import { ReleaseError } from './errors.ts';

/**
 * A private key at rest: PKCS#8 under AES-256-GCM, the key from a passphrase by scrypt. What stands beside it (label,
 * public half, parameters) is authenticated with it, so that nobody can pass one key off as another.
 */
export interface KeyFile {
  v: 1;
  keyid: string;
  /** What the key was made for; says nothing about what it may sign: root metadata does. */
  role: string;
  public: PublicKey;
  kdf: { name: 'scrypt'; N: number; r: number; p: number; salt: string };
  cipher: { name: 'aes-256-gcm'; iv: string };
  /** Base64: ciphertext and the 16 bytes of the tag. */
  sealed: string;
}

/** 128 MiB and about half a second: RFC 7914's memory is 128 * N * r bytes. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1 } as const;
/** A file may not ask for more memory than twice what this tool writes. */
const MOST_MEMORY = 256 * 1024 * 1024;
const TAG_BYTES = 16;
const derive = promisify<string, Buffer, number, object, Buffer>(scrypt);

export async function sealKey(key: KeyObject, role: string, passphrase: string): Promise<KeyFile> {
  const publicKey = tufKeyOf(key);
  const [salt, iv] = [randomBytes(32), randomBytes(12)];
  const head = {
    v: 1,
    keyid: publicKey.keyID,
    role,
    public: publicKey.toJSON() as unknown as PublicKey,
    kdf: { name: 'scrypt', ...SCRYPT, salt: salt.toString('base64') },
    cipher: { name: 'aes-256-gcm', iv: iv.toString('base64') },
  } as const;
  const secret = await derive(passphrase, salt, 32, { ...SCRYPT, maxmem: MOST_MEMORY });
  const cipher = createCipheriv('aes-256-gcm', secret, iv).setAAD(Buffer.from(tufCanonical(head)));
  const plain = key.export({ type: 'pkcs8', format: 'der' });
  const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return { ...head, sealed: sealed.toString('base64') };
}

/** Throws ReleaseError `passphrase` when the passphrase is wrong or the file was changed: the two cannot be told apart. */
export async function unsealKey({ sealed, ...head }: KeyFile, passphrase: string): Promise<KeyObject> {
  const { name: _name, salt, ...cost } = head.kdf;
  const data = Buffer.from(sealed, 'base64');
  try {
    const secret = await derive(passphrase, Buffer.from(salt, 'base64'), 32, {
      ...cost,
      maxmem: MOST_MEMORY,
    });
    const decipher = createDecipheriv('aes-256-gcm', secret, Buffer.from(head.cipher.iv, 'base64'), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(Buffer.from(tufCanonical(head))).setAuthTag(data.subarray(-TAG_BYTES));
    const plain = Buffer.concat([decipher.update(data.subarray(0, -TAG_BYTES)), decipher.final()]);
    return createPrivateKey({ key: plain, format: 'der', type: 'pkcs8' });
  } catch (cause) {
    throw new ReleaseError(
      'passphrase',
      `Cannot open key ${head.keyid.slice(0, 16)}: the passphrase is wrong, or the file was changed`,
      { cause },
    );
  }
}

/** Undefined when the text is no key file of this version. */
export function parseKeyFile(text: string): KeyFile | undefined {
  let file: Partial<KeyFile> | null;
  try {
    file = JSON.parse(text);
  } catch {
    return undefined;
  }
  const isKeyFile =
    file?.v === 1 &&
    file.kdf?.name === 'scrypt' &&
    file.cipher?.name === 'aes-256-gcm' &&
    [file.keyid, file.role, file.sealed, file.public?.keyval?.public].every(
      (text) => typeof text === 'string',
    );
  return isKeyFile ? (file as KeyFile) : undefined;
}
