import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { Key, Snapshot, Targets, Timestamp } from '@tufjs/models';
import { Metadata, MetadataKind, Root, Signature } from '@tufjs/models';
import { tufCanonical } from './tuf-canonical.ts';
import { checkSigned, type DelegatedRole, delegatedRoles, missingIn, type Role } from './tuf-document.ts';
import { isSignedBy, signatureOf, tufKeyOf } from './tuf-keys.ts';

export { keyIdOf, type PublicKey, tufKeyOf } from './tuf-keys.ts';

/**
 * TUF 1.0 metadata: strict parsing and threshold checks over @tufjs/models, for the signer, the server and the
 * device alike. Signatures are checked over the canonical form of what was sent, not of what the models made of it,
 * so that fields they do not know stay covered (TUF 1.0.34 §4). What the models leave open is checked here: a keyid
 * is the hash of its key and no role counts one key twice (§4.2), `expires` is ISO 8601 UTC, nothing required is
 * missing, no digest is weak, delegations keep their order.
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

/** Metadata as it came, with the document that its signatures cover. */
class ReadMetadata<T extends Root | Timestamp | Snapshot | Targets> extends Metadata<T> {
  readonly document: unknown;
  readonly signedBytes: Buffer;
  constructor(read: Metadata<T>, document: unknown) {
    super(read.signed, read.signatures, read.unrecognizedFields);
    this.document = document;
    this.signedBytes = Buffer.from(tufCanonical(document));
  }
}

const KINDS = {
  root: MetadataKind.Root,
  timestamp: MetadataKind.Timestamp,
  snapshot: MetadataKind.Snapshot,
  targets: MetadataKind.Targets,
} as const;

/**
 * Parses one role's JSON text. Throws TufError `malformed`, naming the file and the fault. A delegated role is read as
 * `targets` under its own `name`.
 */
export function parseRole<R extends RoleName>(
  role: R,
  text: string | Uint8Array,
  name: string = role,
): SignedRole<R> {
  const fail = (what: string, cause?: unknown): never => {
    throw new TufError('malformed', `Cannot read ${name}.json: ${what}`, { cause });
  };
  let metadata: SignedRole<R>;
  try {
    const document = JSON.parse(Buffer.from(text as string).toString('utf8'));
    const missing = missingIn(role, document?.signed ?? {});
    if (missing) throw new TypeError(`${missing} is missing`);
    // The models overload fromJSON per kind; the kind and the type parameter are the same key of one table.
    const read = Metadata.fromJSON(KINDS[role] as MetadataKind.Root, document) as unknown as SignedRole<R>;
    metadata = new ReadMetadata(read, document.signed);
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error), error);
  }
  checkSigned(metadata.signed, fail);
  return metadata;
}

/** Who may sign for a role, as root (top-level roles) or targets (delegated roles) say. */
export type Delegator = SignedRole<'root'> | SignedRole<'targets'>;

function delegationOf(
  delegator: Delegator,
  name: string,
): { keys: Record<string, Key>; role: Role | undefined } {
  const { signed } = delegator;
  const { keys = {}, roles = {} } = signed instanceof Root ? signed : (signed.delegations ?? {});
  return { keys, role: Object.hasOwn(roles, name) ? roles[name] : undefined };
}

/**
 * Throws TufError `signature` unless enough of the delegator's keys for the role signed `metadata`.
 * TUF 1.0.34 §5.3.4 and after.
 */
export function verifyRole(delegator: Delegator, name: string, metadata: SignedRole<RoleName>): void {
  const threshold = delegationOf(delegator, name).role?.threshold ?? Number.POSITIVE_INFINITY;
  const signers = signersOf(delegator, name, metadata).length;
  if (signers >= threshold) return;
  throw new TufError(
    'signature',
    `Cannot trust ${name}.json version ${metadata.signed.version}: ${name} was signed by ${signers}/${threshold} keys`,
  );
}

/** Keyids of the role's trusted keys whose signature on `metadata` is good. */
export function signersOf(delegator: Delegator, name: string, metadata: SignedRole<RoleName>): string[] {
  const { keys, role } = delegationOf(delegator, name);
  const bytes = signedBytesOf(metadata);
  return [...new Set(role?.keyIDs)].filter((id) => {
    const key = Object.hasOwn(keys, id) ? keys[id] : undefined;
    const signature = Object.hasOwn(metadata.signatures, id) ? metadata.signatures[id] : undefined;
    return key !== undefined && signature !== undefined && isSignedBy(key, bytes, signature.sig);
  });
}

/** What a signature covers: the canonical form of `signed`. TUF 1.0.34 §4.1. */
export const signedBytesOf = (metadata: SignedRole<RoleName>): Buffer =>
  metadata instanceof ReadMetadata
    ? metadata.signedBytes
    : Buffer.from(tufCanonical(metadata.signed.toJSON()));

/** The roles that targets delegate to, in the order in which they are searched. */
export const delegationsOf = (metadata: SignedRole<'targets'>): DelegatedRole[] =>
  delegatedRoles(metadata.signed, metadata instanceof ReadMetadata ? metadata.document : undefined);

/** Adds a signature by a private key (PKCS#8 PEM or KeyObject). */
export function signRole<R extends RoleName>(metadata: SignedRole<R>, privateKey: KeyObject | string): void {
  const key = typeof privateKey === 'string' ? createPrivateKey(privateKey) : privateKey;
  addSignature(metadata, tufKeyOf(key).keyID, signatureOf(key, signedBytesOf(metadata)));
}

/** Adds a signature (hex) that was made elsewhere. */
export function addSignature(metadata: SignedRole<RoleName>, keyID: string, sig: string): void {
  metadata.signatures[keyID] = new Signature({ keyID, sig });
}

/** The file's text: what is stored, hashed and sent. */
export const roleText = <R extends RoleName>(metadata: SignedRole<R>): string =>
  JSON.stringify(
    metadata instanceof ReadMetadata
      ? { ...metadata.toJSON(), signed: metadata.document }
      : metadata.toJSON(),
    null,
    1,
  );
