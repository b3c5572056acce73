import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseRole, type SignedRole, signedBytesOf, verifyRole } from '../protocol/tuf.ts';
import { messageOf, ReleaseError } from './errors.ts';
import { createDurably, isErrno, readIfPresent } from './files.ts';

/** Metadata with the exact text that was signed. */
export interface Signed<R extends 'root' | 'targets'> {
  metadata: SignedRole<R>;
  text: string;
}

/** A signer's copy of the metadata that was ever in force: public, the same for every signer. */
export interface SignerRepository {
  /** Ascending from version 1; each verified by the one before. */
  roots: Signed<'root'>[];
  /** The newest; undefined before the first signature. */
  targets: Signed<'targets'> | undefined;
  /** The newest of each delegated role. */
  delegated: Map<string, Signed<'targets'>>;
}

const FILE = /^([1-9][0-9]*)\.([a-z][a-z0-9-]{0,31})\.json$/;

/** Undefined when the folder has none yet; one that cannot be read or does not hold is a fault. */
export async function readRepositoryIfAny(keysDir: string): Promise<SignerRepository | undefined> {
  return (await readIfPresent(join(keysDir, 'repository', '1.root.json'))) && readRepository(keysDir);
}

export async function readRepository(keysDir: string): Promise<SignerRepository> {
  const dir = join(keysDir, 'repository');
  const files = await readdir(dir).catch((cause: unknown) => {
    const what = isErrno(cause, 'ENOENT')
      ? 'it holds no root metadata; run wherry keys init'
      : messageOf(cause);
    throw new ReleaseError('keys', `Cannot read keys in ${keysDir}: ${what}`, { cause });
  });
  const versions = new Map<string, number[]>();
  for (const file of files) {
    const [, version, role = ''] = FILE.exec(file) ?? [];
    if (version)
      versions.set(
        role,
        [...(versions.get(role) ?? []), Number(version)].sort((a, b) => a - b),
      );
  }
  const text = (role: string, version: number): Promise<string> =>
    readFile(join(dir, `${version}.${role}.json`), 'utf8');
  const roots = walkRoots(
    await Promise.all((versions.get('root') ?? []).map((version) => text('root', version))),
  );
  const newest = async (role: string): Promise<Signed<'targets'> | undefined> => {
    const version = versions.get(role)?.at(-1);
    if (version === undefined) return undefined;
    const content = await text(role, version);
    return { metadata: parseRole('targets', content, role), text: content };
  };
  const targets = await newest('targets');
  // The signer's own state is checked too: a changed file would otherwise be signed again with whatever it says.
  if (targets) verifyByAny(roots, targets.metadata);
  const delegated = new Map<string, Signed<'targets'>>();
  for (const role of versions.keys()) {
    const signed = role === 'root' || role === 'targets' ? undefined : await newest(role);
    if (signed) delegated.set(role, signed);
  }
  return { roots, targets, delegated };
}

/** TUF 1.0.34 §5.3: each root is signed by the keys of the one before and by its own, versions rise by one. */
export function walkRoots(texts: string[], trusted?: SignedRole<'root'>): Signed<'root'>[] {
  const roots: Signed<'root'>[] = [];
  for (const text of texts) {
    const metadata = parseRole('root', text);
    const before = roots.at(-1)?.metadata;
    if (before && metadata.signed.version !== before.signed.version + 1)
      throw new ReleaseError(
        'keys',
        `Cannot trust the roots: version ${before.signed.version + 1} is missing`,
      );
    verifyRole(before ?? metadata, 'root', metadata);
    verifyRole(metadata, 'root', metadata);
    if (trusted?.signed.version === metadata.signed.version && !isSame(trusted, metadata))
      throw new ReleaseError(
        'keys',
        `Cannot trust root version ${metadata.signed.version}: another root of this version is trusted here; it is of another repository`,
      );
    roots.push({ metadata, text });
  }
  return roots;
}

/** Targets of before a rotation are signed by keys that the newest root no longer names. */
function verifyByAny(roots: Signed<'root'>[], targets: SignedRole<'targets'>): void {
  const newest = roots.at(-1)?.metadata;
  const isGood = roots.some(({ metadata }) => {
    try {
      verifyRole(metadata, 'targets', targets);
      return true;
    } catch {
      return false;
    }
  });
  if (!isGood && newest) verifyRole(newest, 'targets', targets);
}

export const isSame = (one: SignedRole<'root' | 'targets'>, other: SignedRole<'root' | 'targets'>): boolean =>
  signedBytesOf(one).equals(signedBytesOf(other));

export function lastRoot(roots: Signed<'root'>[], where: string): SignedRole<'root'> {
  const root = roots.at(-1);
  if (!root) throw new ReleaseError('keys', `Cannot read keys in ${where}: it holds no root metadata`);
  return root.metadata;
}

/** Keeps metadata that is in force from now on. Keeping the same again changes nothing. */
export async function keepMetadata(keysDir: string, role: string, text: string): Promise<void> {
  const metadata = parseRole(role === 'root' ? 'root' : 'targets', text, role) as SignedRole<
    'root' | 'targets'
  >;
  const file = join(keysDir, 'repository', `${metadata.signed.version}.${role}.json`);
  try {
    await createDurably(file, text);
  } catch (cause) {
    if (!isErrno(cause, 'EEXIST')) throw cause;
    const kept = parseRole(role === 'root' ? 'root' : 'targets', await readFile(file, 'utf8'), role);
    if (isSame(kept as SignedRole<'root' | 'targets'>, metadata)) return;
    throw new ReleaseError(
      'keys',
      `Cannot sign with ${keysDir}: ${role} version ${metadata.signed.version} was signed meanwhile; sign again`,
      { cause },
    );
  }
}
