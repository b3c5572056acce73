import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import type { Snapshot, Targets, Timestamp } from '@tufjs/models';
import { Key, Metadata, MetadataKind, Root, Signature } from '@tufjs/models';
import { canonicalJson, sha256Hex } from './canonical.ts';

/**
 * TUF 1.0 metadata: strict parsing and threshold checks over @tufjs/models, for the signer, the server and the
 * device alike. The models leave open that a keyid is the hash of its key (TUF 1.0.34 §4.2): without that, one key
 * under two keyids satisfies a threshold of two. They also accept any parsable `expires`; here it is ISO 8601 UTC.
 */
export interface RoleTypes {
  root: Root;
  timestamp: Timestamp;
  snapshot: Snapshot;
  targets: Targets;
}
export type RoleName = keyof RoleTypes;
export type SignedRole<R extends RoleName> = Metadata<RoleTypes[R]>;

export const TUF_ERRORS = ['malformed', 'signature', 'expired', 'rollback', 'mismatch'] as const;
export type TufErrorCode = (typeof TUF_ERRORS)[number];

export class TufError extends Error {
  readonly code: TufErrorCode;
  constructor(code: TufErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TufError';
    this.code = code;
  }
}

const KINDS = {
  root: MetadataKind.Root,
  timestamp: MetadataKind.Timestamp,
  snapshot: MetadataKind.Snapshot,
  targets: MetadataKind.Targets,
} as const;
const ISO_UTC = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;

/** Parses one role's JSON text. Throws TufError `malformed`, naming the file and the fault. */
export function parseRole<R extends RoleName>(role: R, text: string | Uint8Array): SignedRole<R> {
  const fail = (what: string, cause?: unknown): never => {
    throw new TufError('malformed', `Cannot read ${role}.json: ${what}`, { cause });
  };
  let metadata: SignedRole<R>;
  try {
    const document = JSON.parse(Buffer.from(text as string).toString('utf8'));
    // The models overload fromJSON per kind; the kind and the type parameter are the same key of one table.
    metadata = Metadata.fromJSON(KINDS[role] as MetadataKind.Root, document) as unknown as SignedRole<R>;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error), error);
  }
  const { signed } = metadata;
  if (!ISO_UTC.test(signed.expires) || Number.isNaN(Date.parse(signed.expires)))
    fail(`expires is "${signed.expires}"; wanted YYYY-MM-DDTHH:MM:SSZ`);
  if (!Number.isSafeInteger(signed.version) || signed.version < 1)
    fail(`version is ${signed.version}; wanted a whole number from 1`);
  if (signed instanceof Root) checkRootKeys(signed, fail);
  return metadata;
}

function checkRootKeys(root: Root, fail: (what: string) => never): void {
  for (const [id, key] of Object.entries(root.keys)) {
    if (keyIdOf(key.toJSON()) !== id) fail(`keyid ${id.slice(0, 12)} is not the sha256 of its key`);
  }
  for (const [name, role] of Object.entries(root.roles)) {
    if (role.threshold < 1) fail(`role ${name} has threshold ${role.threshold}; wanted 1 or more`);
    if (role.keyIDs.some((id) => !root.keys[id])) fail(`role ${name} names a key that root does not hold`);
  }
}

/** Throws TufError `signature` unless enough of root's keys for `role` signed `metadata`. TUF 1.0.34 §5.3.4 and after. */
export function verifyRole<R extends RoleName>(
  root: SignedRole<'root'>,
  role: R,
  metadata: SignedRole<R>,
): void {
  try {
    root.verifyDelegate(role, metadata);
  } catch (error) {
    throw new TufError(
      'signature',
      `Cannot trust ${role}.json version ${metadata.signed.version}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}

/** Keyids of the role's trusted keys whose signature on `metadata` is good. */
export function signersOf<R extends RoleName>(
  root: SignedRole<'root'>,
  role: R,
  metadata: SignedRole<R>,
): string[] {
  return (root.signed.roles[role]?.keyIDs ?? []).filter((id) => {
    try {
      root.signed.keys[id]?.verifySignature(metadata);
      return root.signed.keys[id] !== undefined;
    } catch {
      return false;
    }
  });
}

/** keyid = sha256 of the key's canonical JSON. TUF 1.0.34 §4.2. */
export const keyIdOf = (key: object): string => sha256Hex(canonicalJson(key));

/** The TUF form of an ed25519 public key. */
export function tufKeyOf(key: KeyObject): Key {
  const raw = createPublicKey(
    key.type === 'private'
      ? key.export({ type: 'pkcs8', format: 'pem' })
      : key.export({ type: 'spki', format: 'pem' }),
  )
    .export({ type: 'spki', format: 'der' })
    .subarray(-32);
  const body = { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: raw.toString('hex') } };
  return Key.fromJSON(keyIdOf(body), body);
}

/** Adds a signature by an ed25519 private key (PKCS#8 PEM or KeyObject). */
export function signRole<R extends RoleName>(metadata: SignedRole<R>, privateKey: KeyObject | string): void {
  const key = typeof privateKey === 'string' ? createPrivateKey(privateKey) : privateKey;
  const keyID = tufKeyOf(key).keyID;
  metadata.sign((bytes) => new Signature({ keyID, sig: sign(null, bytes, key).toString('hex') }));
}

/** The file's text: what is stored, hashed and sent. */
export const roleText = <R extends RoleName>(metadata: SignedRole<R>): string =>
  JSON.stringify(metadata.toJSON(), null, 1);
