import { join } from 'node:path';
import { sha256Hex } from '../protocol/canonical.ts';
import { targetPath } from '../protocol/manifest.ts';
import { type PublicKey, parseRole, type SignedRole } from '../protocol/tuf.ts';
import { signatureOf } from '../protocol/tuf-keys.ts';
import { ReleaseError } from './errors.ts';
import { readIfPresent, writeDurably } from './files.ts';
import type { ManifestFile } from './folder.ts';
import { isSame, keepMetadata, readRepository, type SignerRepository } from './keys-repository.ts';
import { ownKeys, type Passphrase } from './keys-ring.ts';
import {
  addToDraft,
  bytesToSign,
  type Draft,
  type DraftFile,
  draftOn,
  isComplete,
  short,
  wantedOf,
} from './sign-draft.ts';
import { signByCommand } from './sign-external.ts';
import { formerOf, nameRelease, nextTargets, requireDelegated, requireSameContent } from './sign-targets.ts';

/** Who signs: keys of a folder, or a program for one key. */
export type SignWith =
  | { kind: 'keys'; passphrase: Passphrase }
  | { kind: 'command'; command: string; keyid: string };

/**
 * A draft of the release for others to sign. Naming a release again renews the metadata: its keys or its expiry. The
 * manifests of releases are kept beside the repository, so that the next signers see what changed.
 */
export async function draftRelease(options: {
  keysDir: string;
  role: string;
  file: ManifestFile;
  expiresDays: number;
}): Promise<DraftFile> {
  const { keysDir, role, file, expiresDays } = options;
  const repository = await readRepository(keysDir);
  const { name, version } = file.manifest;
  const path = targetPath(name, version);
  requireDelegated(repository.targets?.metadata, role, path);
  const last = lastOf(repository, role);
  requireSameContent(file.manifest, last?.signed.targets[path]?.hashes['sha256'], file.sha256);
  const text = nextTargets(last, expiresDays, nameRelease(file));
  const manifests: Record<string, string> = { [path]: file.bytes.toString('utf8') };
  const former = formerOf(last, name, path);
  const formerText = former && (await keptManifest(keysDir, former.hashes['sha256'] ?? ''));
  if (former && formerText !== undefined) manifests[former.path] = formerText;
  return draftOn(repository, role, text, manifests);
}

export const lastOf = (
  { targets, delegated }: SignerRepository,
  role: string,
): SignedRole<'targets'> | undefined => (role === 'targets' ? targets : delegated.get(role))?.metadata;

const manifestFile = (keysDir: string, sha256: string): string =>
  join(keysDir, 'manifests', `${sha256}.json`);
const keptManifest = async (keysDir: string, sha256: string): Promise<string | undefined> =>
  (await readIfPresent(manifestFile(keysDir, sha256)))?.toString('utf8');

/**
 * Whether the folder takes the draft's word: its roots continue those trusted here, and nothing newer is known here.
 * A folder that trusts no root yet takes the draft's first, which its owner has to compare: `isFirstContact`.
 */
export async function meetDraft(
  keysDir: string,
  draft: Draft,
  trustedRoot?: string,
): Promise<{ isFirstContact: boolean }> {
  const own = await readIfPresent(join(keysDir, 'repository/1.root.json'));
  const anchor = trustedRoot ?? own?.toString('utf8');
  if (anchor === undefined) return { isFirstContact: draft.roots.length > 0 };
  const trusted = parseRole('root', anchor);
  const roots = draft.roots.map(({ metadata }) => metadata as Draft['metadata']);
  if (draft.role === 'root') roots.push(draft.metadata);
  const same = roots.find(({ signed }) => signed.version === trusted.signed.version);
  if (!same || !isSame(same, trusted))
    throw new ReleaseError(
      'draft',
      `Cannot use the draft: root version ${trusted.signed.version} in it is not the one trusted here`,
    );
  if (own) await requireNewest(keysDir, draft);
  return { isFirstContact: false };
}

async function requireNewest(keysDir: string, { role, roots, metadata }: Draft): Promise<void> {
  const repository = await readRepository(keysDir);
  const root = repository.roots.at(-1)?.metadata;
  const known = role === 'root' ? root : lastOf(repository, role);
  // What was kept here already may be looked at again.
  if (
    repository.roots.some((other) => isSame(other.metadata, metadata)) ||
    (known && isSame(known, metadata))
  )
    return;
  const [inForce, newest] = [roots.at(-1)?.metadata.signed.version ?? 0, root?.signed.version ?? 0];
  if (inForce >= newest && metadata.signed.version > (known?.signed.version ?? 0)) return;
  throw new ReleaseError(
    'draft',
    `Cannot use the draft: it follows root ${inForce} and ${role} ${metadata.signed.version - 1}, but here root ${newest} and ${role} ${known?.signed.version ?? 0} are known; draft it anew`,
  );
}

/** Signs with every key at hand that may and has not, and keeps the draft. Gives the keyids that signed now. */
export async function signDraft(
  path: string,
  draft: Draft,
  keysDir: string,
  by: SignWith,
): Promise<string[]> {
  const wanted = wantedOf(draft);
  const isWanted = (keyid: string) => wanted.some(({ missing }) => missing.includes(keyid));
  const bytes = bytesToSign(draft);
  if (by.kind === 'command') {
    const keyid = wanted.flatMap(({ missing }) => missing).find((id) => id.startsWith(by.keyid));
    if (!keyid) return nobody(wanted, `key ${by.keyid}`);
    const signature = await signByCommand(by.command, { keyid, publicKey: publicKeyIn(draft, keyid) }, bytes);
    await addToDraft(path, draft, keyid, signature);
    return [keyid];
  }
  const keys = (await ownKeys(keysDir)).filter(({ keyid }) => isWanted(keyid));
  if (keys.length === 0) return nobody(wanted, `any key in ${keysDir}`);
  for (const key of keys)
    await addToDraft(path, draft, key.keyid, signatureOf(await key.open(by.passphrase), bytes));
  return keys.map(({ keyid }) => keyid);
}

function nobody(wanted: ReturnType<typeof wantedOf>, who: string): never[] {
  const missing = [...new Set(wanted.flatMap((set) => set.missing))];
  const signed = wanted.flatMap((set) => set.signed);
  throw new ReleaseError(
    'keys',
    `Cannot sign with ${who}: none is wanted that has not signed; wanted ${missing.map(short).join(', ') || 'nobody'}, signed ${[...new Set(signed)].map(short).join(', ') || 'nobody'}`,
  );
}

function publicKeyIn({ role, roots, delegator, metadata }: Draft, keyid: string): PublicKey {
  const delegated = delegator?.metadata.signed.delegations?.keys ?? {};
  const own = role === 'root' ? (metadata as SignedRole<'root'>).signed.keys : {};
  const key = { ...delegated, ...roots.at(-1)?.metadata.signed.keys, ...own }[keyid];
  if (!key)
    throw new ReleaseError('draft', `Cannot sign with key ${short(keyid)}: the draft does not hold it`);
  return key.toJSON() as unknown as PublicKey;
}

/** Keeps a draft that has all its signatures as the metadata in force, and what it came with. False when some are missing. */
export async function keepIfComplete(keysDir: string, draft: Draft): Promise<boolean> {
  if (!isComplete(wantedOf(draft))) return false;
  for (const { text } of draft.roots) await keepMetadata(keysDir, 'root', text);
  if (draft.delegator) await keepMetadata(keysDir, 'targets', draft.delegator.text);
  await keepMetadata(keysDir, draft.role, draft.file.metadata);
  await keepManifests(keysDir, Object.values(draft.manifests));
  return true;
}

/** By their own hash: whoever signs next compares with them. */
export async function keepManifests(keysDir: string, texts: string[]): Promise<void> {
  for (const text of texts) await writeDurably(manifestFile(keysDir, sha256Hex(text)), text);
}
