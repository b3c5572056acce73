import { LIMITS } from '../../protocol/limits.ts';
import { delegatedObject } from '../../protocol/objects.ts';
import { counterOf, floorsOf } from '../../protocol/release-line.ts';
import {
  delegationsOf,
  parseRole,
  type SignedRole,
  signedBytesOf,
  signersOf,
  TufError,
  verifyRole,
} from '../../protocol/tuf.ts';

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
  if (signedBytesOf(root).equals(signedBytesOf(uploaded))) return;
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
  floorsIn('targets', metadata);
  const isNew = !trusted || !isSame(trusted, metadata);
  if (trusted && isNew) succeeds('targets', trusted, metadata);
  return { metadata, text, isNew, signedBy: signersOf(root, 'targets', metadata) };
}

/**
 * Checks the roles that targets delegate to: those uploaded against the ones in force, and those in force against the
 * targets. Gives what is new, and all that targets delegate to and is signed, by role.
 */
export function checkDelegated(
  targets: SignedRole<'targets'>,
  trusted: ReadonlyMap<string, SignedText<'targets'>>,
  uploaded: Readonly<Record<string, string>>,
  now: number,
): { fresh: Map<string, SignedText<'targets'>>; inForce: Map<string, SignedText<'targets'>> } {
  const roles = delegationsOf(targets).map(({ name }) => name);
  const stranger = Object.keys(uploaded).find((role) => !roles.includes(role));
  if (stranger !== undefined)
    throw new TufError('mismatch', `Cannot accept ${stranger}.json: targets do not delegate to this role`);
  const fresh = new Map<string, SignedText<'targets'>>();
  const inForce = new Map<string, SignedText<'targets'>>();
  for (const role of roles) {
    const before = trusted.get(role);
    const text = Object.hasOwn(uploaded, role) ? uploaded[role] : undefined;
    const read = text === undefined ? before : readDelegated(role, text, before?.metadata, now);
    if (!read) continue;
    verifyRole(targets, role, read.metadata);
    inForce.set(role, read);
    if (read.text !== before?.text) fresh.set(role, read);
  }
  return { fresh, inForce };
}

/** The one in force again gives what is kept, with the signatures it came with. */
function readDelegated(
  role: string,
  text: string,
  trusted: SignedRole<'targets'> | undefined,
  now: number,
): SignedText<'targets'> {
  if (delegatedObject(role, 1) === undefined)
    throw new TufError(
      'malformed',
      `Cannot accept ${role}.json: a role is named by a–z, 0–9 and -, at most 32`,
    );
  capped(`${role}.json`, text, LIMITS.targetsBytes);
  const metadata = parseRole('targets', text, role);
  fresher(role, metadata.signed.expires, now);
  floorsIn(role, metadata);
  if (trusted && !isSame(trusted, metadata)) succeeds(role, trusted, metadata);
  return { metadata, text };
}

const isSame = (one: SignedRole<'targets'>, other: SignedRole<'targets'>): boolean =>
  signedBytesOf(one).equals(signedBytesOf(other));

/** Versions and floors rise, and a path, once named, keeps its hash and counter: rollback and mix-and-match. §5.6.4 */
function succeeds(role: string, trusted: SignedRole<'targets'>, metadata: SignedRole<'targets'>): void {
  const { version, targets } = metadata.signed;
  if (version <= trusted.signed.version) {
    throw new TufError(
      'rollback',
      `Cannot accept ${role}.json: version is ${version}, but this server has already trusted ${trusted.signed.version}; sign a higher version`,
    );
  }
  for (const [path, before] of Object.entries(trusted.signed.targets)) {
    const again = targets[path];
    if (
      !again ||
      (again.hashes['sha256'] === before.hashes['sha256'] && counterOf(again) === counterOf(before))
    )
      continue;
    throw new TufError(
      'mismatch',
      `Cannot accept ${role}.json: the hash or counter of ${path} changed; give a changed release a new version`,
    );
  }
  const floors = floorsIn(role, metadata);
  for (const [line, floor] of Object.entries(floorsIn(role, trusted))) {
    if ((floors[line] ?? 0) >= floor) continue;
    throw new TufError(
      'rollback',
      `Cannot accept ${role}.json: the floor of ${line} is ${floors[line] ?? 0}, but this server has already trusted ${floor}; a floor only rises`,
    );
  }
}

function floorsIn(role: string, { signed }: SignedRole<'targets'>): Record<string, number> {
  try {
    return floorsOf(signed);
  } catch (cause) {
    throw new TufError('malformed', `Cannot read ${role}.json: ${(cause as Error).message}`, { cause });
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
