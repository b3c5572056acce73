import { canonicalJson } from '../../protocol/canonical.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { parseRole, type SignedRole, signersOf, TufError, verifyRole } from '../../protocol/tuf.ts';

/** Metadata with the exact text that was signed. */
export interface SignedText<R extends 'root' | 'targets'> {
  metadata: SignedRole<R>;
  text: string;
}

/**
 * Walks uploaded roots from the one in force. Without one, the first is pinned: it was brought by an administrator.
 * Gives the roots that are new, ascending, and the one in force after them. TUF 1.0.34 §5.3.
 */
export function walkRoots(
  trusted: SignedRole<'root'> | undefined,
  texts: readonly string[],
  now: number,
): { fresh: SignedText<'root'>[]; root: SignedRole<'root'> } {
  let root = trusted;
  const fresh: SignedText<'root'>[] = [];
  for (const text of texts) {
    capped('root.json', text, LIMITS.rootBytes);
    const metadata = parseRole('root', text);
    const { version } = metadata.signed;
    if (root && version < root.signed.version) continue;
    if (root && version === root.signed.version) {
      sameRoot(root, metadata);
      continue;
    }
    if (root && version !== root.signed.version + 1) {
      throw new TufError(
        'rollback',
        `Cannot trust root.json version ${version}: version ${root.signed.version} is in force; send every version between`,
      );
    }
    if (root) verifyRole(root, 'root', metadata);
    verifyRole(metadata, 'root', metadata);
    fresh.push({ metadata, text });
    root = metadata;
  }
  if (!root) throw new TufError('malformed', 'Cannot publish: no root is trusted yet and none was sent');
  fresher('root', root.signed.expires, now);
  return { fresh, root };
}

/** Another key ceremony under a version in force is a different repository, never an update. */
function sameRoot(root: SignedRole<'root'>, uploaded: SignedRole<'root'>): void {
  if (canonicalJson(root.signed.toJSON()) === canonicalJson(uploaded.signed.toJSON())) return;
  throw new TufError(
    'mismatch',
    `Cannot trust root.json version ${uploaded.signed.version}: another root of this version is pinned; sign with the keys of the pinned root`,
  );
}

/** Checks uploaded targets against root and the targets in force. `isNew` is false for the very same targets again. */
export function checkTargets(
  root: SignedRole<'root'>,
  trusted: SignedRole<'targets'> | undefined,
  text: string,
  now: number,
): SignedText<'targets'> & { isNew: boolean; signedBy: string[] } {
  capped('targets.json', text, LIMITS.targetsBytes);
  const metadata = parseRole('targets', text);
  verifyRole(root, 'targets', metadata);
  fresher('targets', metadata.signed.expires, now);
  const isNew =
    !trusted || canonicalJson(trusted.signed.toJSON()) !== canonicalJson(metadata.signed.toJSON());
  if (trusted && isNew) succeeds(trusted, metadata);
  return { metadata, text, isNew, signedBy: signersOf(root, 'targets', metadata) };
}

/** Versions rise and a path, once named, keeps its hash: rollback and mix-and-match. TUF 1.0.34 §5.6.4. */
function succeeds(trusted: SignedRole<'targets'>, metadata: SignedRole<'targets'>): void {
  const { version, targets } = metadata.signed;
  if (version <= trusted.signed.version) {
    throw new TufError(
      'rollback',
      `Cannot accept targets.json: version is ${version}, but this server has already trusted ${trusted.signed.version}; sign a higher version`,
    );
  }
  for (const [path, { hashes }] of Object.entries(trusted.signed.targets)) {
    const again = targets[path];
    if (again && again.hashes['sha256'] !== hashes['sha256']) {
      throw new TufError(
        'mismatch',
        `Cannot accept targets.json: the hash of ${path} changed; give a changed release a new version`,
      );
    }
  }
}

function capped(name: string, text: string, mostBytes: number): void {
  const bytes = Buffer.byteLength(text);
  if (bytes > mostBytes)
    throw new TufError(
      'malformed',
      `Cannot read ${name}: it has ${bytes} bytes; at most ${mostBytes} are taken`,
    );
}

function fresher(name: string, expires: string, now: number): void {
  if (Date.parse(expires) <= now)
    throw new TufError('expired', `Cannot trust ${name}.json: it expired at ${expires}; sign it anew`);
}
