import { readFile } from 'node:fs/promises';
import {
  addSignature,
  type Delegator,
  delegationsOf,
  parseRole,
  roleText,
  type SignedRole,
  signedBytesOf,
  signersOf,
  verifyRole,
} from '../protocol/tuf.ts';
import { messageOf, ReleaseError } from './errors.ts';
import { writeDurably } from './files.ts';
import { type Signed, type SignerRepository, walkRoots } from './keys-repository.ts';

/**
 * Metadata on its way from signer to signer, as one file. It carries all that a signer needs to see what it changes:
 * the roots, the metadata in force, and the manifests it names. Nothing of it is believed unless it is signed or hashed.
 */
export interface DraftFile {
  v: 1;
  type: 'wherry-draft';
  /** `root`, `targets`, or a role that targets delegate to. */
  role: string;
  roots: string[];
  /** The role's metadata in force; absent before the first. */
  last?: string | undefined;
  /** The targets in force, for a delegated role. */
  delegator?: string | undefined;
  /** Manifests by target path: those that are new, and the ones before of the same lines. */
  manifests: Record<string, string>;
  /** What is signed, with the signatures so far. */
  metadata: string;
}

/** A draft whose parts fit each other. */
export interface Draft {
  role: string;
  roots: Signed<'root'>[];
  last: SignedRole<'root' | 'targets'> | undefined;
  delegator: Signed<'targets'> | undefined;
  manifests: Record<string, string>;
  metadata: SignedRole<'root' | 'targets'>;
  file: DraftFile;
}

/** Whose signatures are wanted, how many, and who gave theirs. A root wants two sets: the old keys' and the new. */
export interface Wanted {
  /** `root 3`, as whom the keys are named by. */
  by: string;
  threshold: number;
  signed: string[];
  missing: string[];
}

export async function readDraft(path: string): Promise<Draft> {
  const fail = (what: string, cause?: unknown): never => {
    throw new ReleaseError('draft', `Cannot read draft ${path}: ${what}`, { cause });
  };
  const text = await readFile(path, 'utf8').catch((error: unknown) => fail(messageOf(error), error));
  let file: DraftFile;
  try {
    file = JSON.parse(text);
  } catch (error) {
    return fail(messageOf(error), error);
  }
  if (file?.type !== 'wherry-draft') return fail('it is no draft; make one with wherry release draft');
  if (file.v !== 1) return fail(`its version is ${file.v}; this tool reads 1`);
  return openDraft(file);
}

/** Throws unless the roots hold, the version is the next one, and each manifest is one that targets name. */
export function openDraft(file: DraftFile): Draft {
  const { role } = file;
  const kind = role === 'root' ? 'root' : 'targets';
  const read = (text: string | undefined) =>
    text === undefined ? undefined : (parseRole(kind, text, role) as SignedRole<'root' | 'targets'>);
  const metadata = read(file.metadata);
  if (!metadata) throw new ReleaseError('draft', 'Cannot read the draft: it holds no metadata');
  const roots = walkRoots(file.roots);
  const last = role === 'root' ? roots.at(-1)?.metadata : read(file.last);
  const wanted = (last?.signed.version ?? 0) + 1;
  if (metadata.signed.version !== wanted)
    throw new ReleaseError(
      'draft',
      `Cannot use the draft: ${role} is version ${metadata.signed.version}; wanted ${wanted}`,
    );
  return {
    role,
    roots,
    last,
    delegator: delegatorOf(file, roots),
    manifests: file.manifests,
    metadata,
    file,
  };
}

function delegatorOf({ role, delegator }: DraftFile, roots: Signed<'root'>[]): Signed<'targets'> | undefined {
  if (role === 'root' || role === 'targets' || delegator === undefined) return undefined;
  const metadata = parseRole('targets', delegator);
  const root = roots.at(-1);
  if (root) verifyRole(root.metadata, 'targets', metadata);
  return { metadata, text: delegator };
}

/** The sets of keys that have to sign. */
export function wantedOf({ role, roots, delegator, metadata }: Draft): Wanted[] {
  const root = roots.at(-1)?.metadata;
  if (role === 'root') {
    const next = metadata as SignedRole<'root'>;
    return [...(root ? [root] : []), next].map((by) =>
      wantedBy(`root ${by.signed.version}`, by, role, metadata),
    );
  }
  const by: Delegator | undefined = role === 'targets' ? root : delegator?.metadata;
  if (!by) throw new ReleaseError('draft', `Cannot use the draft: nothing in it says who signs for ${role}`);
  return [
    wantedBy(
      role === 'targets' ? `root ${by.signed.version}` : `targets ${by.signed.version}`,
      by,
      role,
      metadata,
    ),
  ];
}

function wantedBy(by: string, delegator: Delegator, role: string, metadata: Draft['metadata']): Wanted {
  const named =
    delegator.signed.type === 'root'
      ? (delegator as SignedRole<'root'>).signed.roles[role]
      : delegationsOf(delegator as SignedRole<'targets'>).find(({ name }) => name === role);
  if (!named) throw new ReleaseError('draft', `Cannot sign for ${role}: ${by} does not name this role`);
  const signed = signersOf(delegator, role, metadata);
  const missing = named.keyIDs.filter((id) => !signed.includes(id));
  return { by, threshold: named.threshold, signed, missing };
}

export const isComplete = (wanted: Wanted[]): boolean =>
  wanted.every(({ signed, threshold }) => signed.length >= threshold);

/** Refuses a draft that lacks signatures, and says whose. */
export function requireComplete(draft: Draft): void {
  const open = wantedOf(draft).filter(({ signed, threshold }) => signed.length < threshold);
  if (open.length === 0) return;
  const what = open.map(
    ({ by, threshold, signed, missing }) =>
      `${signed.length} of ${threshold} signatures by the keys of ${by}; missing ${threshold - signed.length} of ${missing.map(short).join(', ')}`,
  );
  throw new ReleaseError(
    'threshold',
    `Cannot use ${draft.role} version ${draft.metadata.signed.version}: it has ${what.join(', and ')}; let them run wherry release sign`,
  );
}

/** Adds a signature to the draft's file. */
export async function addToDraft(
  path: string,
  draft: Draft,
  keyid: string,
  signature: string,
): Promise<void> {
  addSignature(draft.metadata, keyid, signature);
  draft.file.metadata = roleText(draft.metadata as SignedRole<'targets'>);
  await writeDraft(path, draft.file);
}

export const writeDraft = (path: string, file: DraftFile): Promise<void> =>
  writeDurably(path, `${JSON.stringify(file, null, 1)}\n`);

/** The parts of a draft that come from a signer's repository. */
export const draftOn = (
  { roots, targets, delegated }: SignerRepository,
  role: string,
  metadata: string,
  manifests: Record<string, string> = {},
): DraftFile => ({
  v: 1,
  type: 'wherry-draft',
  role,
  roots: roots.map(({ text }) => text),
  last: role === 'targets' ? targets?.text : delegated.get(role)?.text,
  delegator: role === 'root' || role === 'targets' ? undefined : targets?.text,
  manifests,
  metadata,
});

export const bytesToSign = (draft: Draft): Buffer => signedBytesOf(draft.metadata);
export const short = (keyid: string): string => keyid.slice(0, 16);
