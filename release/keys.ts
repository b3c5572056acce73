import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Key, Metadata, MetadataKind, Targets } from '@tufjs/models';
import {
  keyIdOf,
  parseRole,
  roleText,
  type SignedRole,
  signRole,
  tufKeyOf,
  verifyRole,
} from '../protocol/tuf.ts';
import { messageOf, ReleaseError } from './errors.ts';
import { createDurably, isErrno, readIfPresent } from './files.ts';

/** Public half of a key in TUF's form, as the server's repository shows its online keys. */
export interface PublicKey {
  keytype: string;
  scheme: string;
  keyval: { public: string };
}
export interface OnlineKeys {
  snapshot: PublicKey;
  timestamp: PublicKey;
}

const SPEC_VERSION = '1.0.34';
const DAY_MS = 86_400_000;
export const DEFAULT_EXPIRES_DAYS = 365;

/**
 * The signer's folder: `root.pem` and `targets.pem` (PKCS#8, 0600) and `repository/{N.root.json, N.targets.json}`,
 * every version it ever signed. Nothing of it goes to the server but the metadata.
 */
export async function initKeys(options: {
  keysDir: string;
  onlineKeys: OnlineKeys;
  expiresDays?: number;
}): Promise<KeysInfo> {
  const { keysDir, onlineKeys } = options;
  if (await readIfPresent(join(keysDir, 'root.pem')))
    throw new ReleaseError(
      'keys',
      `Cannot make keys in ${keysDir}: it holds keys already; name another folder`,
    );
  await mkdir(keysDir, { recursive: true, mode: 0o700 });
  const keys = {
    root: generateKeyPairSync('ed25519').privateKey,
    targets: generateKeyPairSync('ed25519').privateKey,
  };
  const byRole: Record<string, Key> = {
    root: tufKeyOf(keys.root),
    targets: tufKeyOf(keys.targets),
    snapshot: onlineKey(onlineKeys.snapshot),
    timestamp: onlineKey(onlineKeys.timestamp),
  };
  const root = firstRoot(byRole, expiresIn(options.expiresDays ?? DEFAULT_EXPIRES_DAYS));
  signRole(root, keys.root);
  await createDurably(join(keysDir, 'repository', '1.root.json'), roleText(root));
  await createDurably(join(keysDir, 'targets.pem'), pemOf(keys.targets), 0o600);
  // Last: the folder counts as made once root.pem is there.
  await createDurably(join(keysDir, 'root.pem'), pemOf(keys.root), 0o600);
  return readKeys(keysDir);
}

/** Version 1, one key of one for each role. */
const firstRoot = (byRole: Record<string, Key>, expires: string): SignedRole<'root'> =>
  Metadata.fromJSON(MetadataKind.Root, {
    signed: {
      _type: 'root',
      spec_version: SPEC_VERSION,
      version: 1,
      expires,
      consistent_snapshot: true,
      keys: Object.fromEntries(Object.values(byRole).map((key) => [key.keyID, key.toJSON()])),
      roles: Object.fromEntries(
        Object.entries(byRole).map(([role, key]) => [role, { keyids: [key.keyID], threshold: 1 }]),
      ),
    },
    signatures: [],
  });

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
    targetsVersion: targets?.signed.version ?? 0,
    roles: Object.entries(root.signed.roles).map(([role, { threshold, keyIDs }]) => ({
      role,
      threshold,
      keyIds: keyIDs,
    })),
  };
}

export interface SignerRepository {
  /** Ascending from version 1; each verified by the one before. */
  roots: SignedRole<'root'>[];
  /** The newest; undefined before the first signature. */
  targets: SignedRole<'targets'> | undefined;
}

export async function readRepository(keysDir: string): Promise<SignerRepository> {
  const dir = join(keysDir, 'repository');
  const files = await readdir(dir).catch((cause: unknown) => {
    const what = isErrno(cause, 'ENOENT') ? 'it holds no keys; run wherry keys init' : messageOf(cause);
    throw new ReleaseError('keys', `Cannot read keys in ${keysDir}: ${what}`, { cause });
  });
  const versions = (role: string): number[] =>
    files
      .flatMap((file) => Number(new RegExp(`^([0-9]+)\\.${role}\\.json$`).exec(file)?.[1] ?? 0) || [])
      .sort((a, b) => a - b);
  const roots: SignedRole<'root'>[] = [];
  for (const version of versions('root')) {
    const root = parseRole('root', await readFile(join(dir, `${version}.root.json`)));
    verifyRole(roots.at(-1) ?? root, 'root', root);
    roots.push(root);
  }
  const newest = versions('targets').at(-1);
  if (newest === undefined) return { roots, targets: undefined };
  const targets = parseRole('targets', await readFile(join(dir, `${newest}.targets.json`)));
  // The signer's own state is checked too: a changed file would otherwise be signed again with whatever it says.
  verifyRole(lastRoot(roots, keysDir), 'targets', targets);
  return { roots, targets };
}

export function lastRoot(roots: SignedRole<'root'>[], where: string): SignedRole<'root'> {
  const root = roots.at(-1);
  if (!root) throw new ReleaseError('keys', `Cannot read keys in ${where}: it holds no root metadata`);
  return root;
}

/** The next targets: all that the last held, and one more. Not yet stored. */
export function nextTargets(
  last: SignedRole<'targets'> | undefined,
  target: ConstructorParameters<typeof Targets>[0]['targets'] & object,
  expiresDays: number,
): SignedRole<'targets'> {
  return new Metadata(
    new Targets({
      version: (last?.signed.version ?? 0) + 1,
      specVersion: SPEC_VERSION,
      expires: expiresIn(expiresDays),
      targets: { ...last?.signed.targets, ...target },
    }),
  );
}

export async function targetsKey(keysDir: string): Promise<KeyObject> {
  const file = join(keysDir, 'targets.pem');
  try {
    return createPrivateKey(await readFile(file));
  } catch (cause) {
    throw new ReleaseError('keys', `Cannot read the targets key ${file}: ${messageOf(cause)}`, { cause });
  }
}

const onlineKey = ({ keytype, scheme, keyval }: PublicKey): Key => {
  const body = { keytype, scheme, keyval: { public: keyval.public } };
  return Key.fromJSON(keyIdOf(body), body);
};
const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
const expiresIn = (days: number): string =>
  new Date(Date.now() + days * DAY_MS).toISOString().replace(/\.[0-9]{3}Z$/, 'Z');
