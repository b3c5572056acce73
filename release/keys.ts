import type { KeyObject } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { keyIdOf, type PublicKey, parseRole, roleText, signRole, tufKeyOf } from '../protocol/tuf.ts';
import { ReleaseError } from './errors.ts';
import { createDurably, readIfPresent, writeDurably } from './files.ts';
import { sealKey } from './keys-file.ts';
import { lastRoot, readRepository } from './keys-repository.ts';
import { newPrivateKey } from './keys-ring.ts';
import { nextRoot, type TopRole } from './sign-root.ts';

export type { PublicKey } from '../protocol/tuf.ts';

/** Public halves of the server's keys in TUF's form, as its repository shows them. */
export interface OnlineKeys {
  snapshot: PublicKey;
  timestamp: PublicKey;
}

export const DEFAULT_EXPIRES_DAYS = 365;

/**
 * The signer's folder for one person: a root and a targets key, one of one needed, and `repository/{N.root.json,
 * N.targets.json}`, every version ever signed. Nothing of it goes to the server but the metadata. Without a passphrase
 * the keys stand there in clear, as `root.pem` and `targets.pem` (0600).
 */
export async function initKeys(options: {
  keysDir: string;
  onlineKeys: OnlineKeys;
  expiresDays?: number;
  passphrase?: string;
}): Promise<KeysInfo> {
  const { keysDir, onlineKeys, passphrase, expiresDays = DEFAULT_EXPIRES_DAYS } = options;
  if (await readIfPresent(join(keysDir, 'repository', '1.root.json')))
    throw new ReleaseError(
      'keys',
      `Cannot make keys in ${keysDir}: it holds keys already; name another folder`,
    );
  await mkdir(keysDir, { recursive: true, mode: 0o700 });
  const keys = { root: newPrivateKey('ed25519'), targets: newPrivateKey('ed25519') };
  const text = nextRoot(undefined, {
    add: [named('root', keys.root), named('targets', keys.targets)],
    remove: [],
    thresholds: {},
    onlineKeys: withIds(onlineKeys),
    expiresDays,
  });
  const root = parseRole('root', text);
  signRole(root, keys.root);
  for (const role of ['targets', 'root'] as const) await keepKey(keysDir, role, keys[role], passphrase);
  // Last: the folder counts as made once its root is there. Keys that a crash left without one sign nothing.
  await createDurably(join(keysDir, 'repository', '1.root.json'), roleText(root));
  return readKeys(keysDir);
}

const named = (role: TopRole, key: KeyObject) => ({
  role,
  keyid: tufKeyOf(key).keyID,
  key: tufKeyOf(key).toJSON() as unknown as PublicKey,
});

async function keepKey(
  keysDir: string,
  role: string,
  key: KeyObject,
  passphrase: string | undefined,
): Promise<void> {
  if (passphrase === undefined) {
    const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
    return writeDurably(join(keysDir, `${role}.pem`), pem, 0o600);
  }
  const file = await sealKey(key, role, passphrase);
  const path = join(keysDir, 'keys', `${role}-${file.keyid.slice(0, 16)}.json`);
  return writeDurably(path, `${JSON.stringify(file, null, 1)}\n`, 0o600);
}

const plain = ({ keytype, scheme, keyval }: PublicKey): PublicKey => ({
  keytype,
  scheme,
  keyval: { public: keyval.public },
});

/** The keys with their keyids. */
export function withIds({ snapshot, timestamp }: OnlineKeys) {
  const keys = { snapshot: plain(snapshot), timestamp: plain(timestamp) };
  return { ...keys, keyids: { snapshot: keyIdOf(keys.snapshot), timestamp: keyIdOf(keys.timestamp) } };
}

export interface KeysInfo {
  keysDir: string;
  rootVersion: number;
  rootExpires: string;
  /** 0 before the first signature. */
  targetsVersion: number;
  roles: { role: string; threshold: number; keyIds: string[] }[];
}

/** What a signer's folder holds; no private key leaves it. */
export async function readKeys(keysDir: string): Promise<KeysInfo> {
  const { roots, targets } = await readRepository(keysDir);
  const root = lastRoot(roots, keysDir);
  return {
    keysDir,
    rootVersion: root.signed.version,
    rootExpires: root.signed.expires,
    targetsVersion: targets?.metadata.signed.version ?? 0,
    roles: Object.entries(root.signed.roles).map(([role, { threshold, keyIDs }]) => ({
      role,
      threshold,
      keyIds: keyIDs,
    })),
  };
}
