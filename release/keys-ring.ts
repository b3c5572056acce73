import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Key } from '@tufjs/models';
import { keyIdOf, type PublicKey, tufKeyOf } from '../protocol/tuf.ts';
import { messageOf, ReleaseError } from './errors.ts';
import { createDurably, isErrno } from './files.ts';
import { parseKeyFile, sealKey, unsealKey } from './keys-file.ts';

/** A private key in somebody's folder. Opening it may ask for the passphrase. */
export interface OwnKey {
  keyid: string;
  role: string;
  public: PublicKey;
  isEncrypted: boolean;
  file: string;
  open(passphrase: Passphrase): Promise<KeyObject>;
}

/** Gives the passphrase for a key, however it comes. */
export type Passphrase = (what: string) => Promise<string>;

export const KEY_TYPES = ['ed25519', 'ecdsa-p256'] as const;
export type KeyType = (typeof KEY_TYPES)[number];
export const LEAST_PASSPHRASE = 8;

const ROLE = /^[a-z][a-z0-9-]{0,31}$/;

export function newPrivateKey(type: KeyType): KeyObject {
  return type === 'ed25519'
    ? generateKeyPairSync('ed25519').privateKey
    : generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

/** Makes a key and keeps it in the folder, encrypted, readable by its owner alone. */
export async function createKey(options: {
  keysDir: string;
  role: string;
  type: KeyType;
  passphrase: string;
}): Promise<OwnKey> {
  const { keysDir, role, passphrase } = options;
  if (!ROLE.test(role))
    throw new ReleaseError('keys', `Cannot make a key for role "${role}": wanted a–z, 0–9 and -, at most 32`);
  if (passphrase.length < LEAST_PASSPHRASE)
    throw new ReleaseError(
      'passphrase',
      `Cannot encrypt the key: the passphrase has ${passphrase.length} characters; wanted ${LEAST_PASSPHRASE} and more`,
    );
  await mkdir(join(keysDir, 'keys'), { recursive: true, mode: 0o700 });
  const file = await sealKey(newPrivateKey(options.type), role, passphrase);
  const path = join(keysDir, 'keys', `${role}-${file.keyid.slice(0, 16)}.json`);
  await createDurably(path, `${JSON.stringify(file, null, 1)}\n`, 0o600);
  return readKey(path);
}

/** The folder's private keys: `keys/*.json`, and `root.pem` and `targets.pem` as `wherry keys init` may leave them. */
export async function ownKeys(keysDir: string): Promise<OwnKey[]> {
  const names = (folder: string): Promise<string[]> =>
    readdir(folder).catch((error: unknown) => {
      if (isErrno(error, 'ENOENT')) return [];
      throw new ReleaseError('keys', `Cannot read keys in ${keysDir}: ${messageOf(error)}`, { cause: error });
    });
  const files = [
    ...(await names(keysDir)).filter((name) => name.endsWith('.pem')).map((name) => join(keysDir, name)),
    ...(await names(join(keysDir, 'keys')))
      .filter((name) => name.endsWith('.json'))
      .map((name) => join(keysDir, 'keys', name)),
  ];
  return Promise.all(files.sort().map(readKey));
}

async function readKey(file: string): Promise<OwnKey> {
  const { mode } = await stat(file);
  if ((mode & 0o077) !== 0)
    throw new ReleaseError(
      'keys',
      `Cannot use key file ${file}: others may read or write it (mode ${(mode & 0o777).toString(8)}); run chmod 600 ${file}`,
    );
  const text = await readFile(file, 'utf8');
  if (file.endsWith('.pem')) return plainKey(file, text);
  const stored = parseKeyFile(text);
  if (!stored) throw new ReleaseError('keys', `Cannot read key file ${file}: it is not one`);
  return {
    ...stored,
    isEncrypted: true,
    file,
    open: async (passphrase) =>
      unsealKey(stored, await passphrase(`key ${stored.keyid.slice(0, 16)} (${stored.role})`)),
  };
}

function plainKey(file: string, text: string): OwnKey {
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch (cause) {
    throw new ReleaseError('keys', `Cannot read key file ${file}: ${messageOf(cause)}`, { cause });
  }
  const publicKey = tufKeyOf(key);
  return {
    keyid: publicKey.keyID,
    role: file.replace(/^.*\//, '').replace(/\.pem$/, ''),
    public: publicKey.toJSON() as unknown as PublicKey,
    isEncrypted: false,
    file,
    open: async () => key,
  };
}

/** A public key from a file: TUF's JSON as `wherry keys export` gives it, or SPKI PEM. */
export function parsePublicKey(text: string, where: string): Key {
  try {
    if (text.trimStart().startsWith('-----BEGIN')) return tufKeyOf(createPublicKey(text));
    const { keytype, scheme, keyval } = JSON.parse(text) as PublicKey;
    const body = { keytype, scheme, keyval: { public: keyval.public } };
    return Key.fromJSON(keyIdOf(body), body);
  } catch (cause) {
    throw new ReleaseError('keys', `Cannot read a public key from ${where}: ${messageOf(cause)}`, { cause });
  }
}
