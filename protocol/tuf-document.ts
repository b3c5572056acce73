import {
  type Key,
  MetaFile,
  type Root,
  type Snapshot,
  type TargetFile,
  type Targets,
  type Timestamp,
} from '@tufjs/models';
import { isKeyIdOf, materialOf } from './tuf-keys.ts';

/** What must be there, lest the models put a default in its place. */
const REQUIRED = {
  root: ['keys', 'roles'],
  timestamp: ['meta'],
  snapshot: ['meta'],
  targets: ['targets'],
} as const;

const ISO_UTC = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;
const HASH_PREFIX = /^[0-9a-f]{1,64}$/;
/** Digests that a file may be known by. Weaker ones prove nothing. */
export const HASHES = ['sha256', 'sha384', 'sha512'] as const;

/** The models do not export these. */
export type Role = Root['roles'][string];
export type DelegatedRole = NonNullable<NonNullable<Targets['delegations']>['roles']>[string];

type Signed = Root | Timestamp | Snapshot | Targets;
type Fail = (what: string) => never;

/** The members of `signed` that the models would make up. */
export function missingIn(kind: keyof typeof REQUIRED, signed: Record<string, unknown>): string | undefined {
  return REQUIRED[kind].find((member) => signed[member] === undefined);
}

/** What the models leave open: see protocol/tuf.ts. */
export function checkSigned(signed: Signed, fail: Fail): void {
  if (!ISO_UTC.test(signed.expires) || Number.isNaN(Date.parse(signed.expires)))
    fail(`expires is "${signed.expires}"; wanted YYYY-MM-DDTHH:MM:SSZ`);
  if (!Number.isSafeInteger(signed.version) || signed.version < 1)
    fail(`version is ${signed.version}; wanted a whole number from 1`);
  switch (signed.type) {
    case 'root':
      return checkDelegator(signed.keys, Object.entries(signed.roles), fail);
    case 'timestamp':
      return checkFile('snapshot.json', signed.snapshotMeta, fail);
    case 'snapshot':
      for (const [name, meta] of Object.entries(signed.meta)) checkFile(name, meta, fail);
      return undefined;
    case 'targets':
      return checkTargets(signed as Targets, fail);
  }
}

function checkTargets({ targets, delegations }: Targets, fail: Fail): void {
  for (const [path, target] of Object.entries(targets)) checkFile(path, target, fail);
  if (!delegations) return;
  if (delegations.succinctRoles) fail('it delegates to succinct roles, which are not supported');
  const roles = Object.entries(delegations.roles ?? {});
  checkDelegator(delegations.keys, roles, fail);
  for (const [name, role] of roles) {
    if (name === '' || name.length > 256) fail('it delegates to a role without a name, or with one too long');
    if (!role.paths && !role.pathHashPrefixes) fail(`role ${name} is delegated no paths`);
    if (role.pathHashPrefixes?.some((prefix) => !HASH_PREFIX.test(prefix)))
      fail(`role ${name} is delegated path hash prefixes that are not hexadecimal`);
  }
}

/**
 * Every keyid is the hash of its key, and no role counts one key twice. A keyid without a key is no fault: nobody can
 * sign with it. TUF 1.0.34 §4.2, §4.3.
 */
function checkDelegator(keys: Record<string, Key>, roles: [string, Role][], fail: Fail): void {
  const materials = new Map<string, string>();
  for (const [id, key] of Object.entries(keys)) {
    if (!isKeyIdOf(id, key)) fail(`keyid ${id.slice(0, 12)} is not the sha256 of its key`);
    materials.set(id, materialOf(key));
  }
  for (const [name, { keyIDs, threshold }] of roles) {
    if (threshold < 1) fail(`role ${name} has threshold ${threshold}; wanted 1 or more`);
    const seen = new Map<string, string>();
    for (const id of keyIDs) {
      const material = materials.get(id);
      if (material === undefined) continue;
      const twin = seen.get(material);
      if (twin) fail(`role ${name} holds one key as ${twin.slice(0, 12)} and as ${id.slice(0, 12)}`);
      seen.set(material, id);
    }
  }
}

function checkFile(name: string, file: MetaFile | TargetFile, fail: Fail): void {
  const { length, hashes } = file;
  if (length !== undefined && !Number.isSafeInteger(length)) fail(`${name} has length ${length}`);
  if (file instanceof MetaFile && !Number.isSafeInteger(file.version))
    fail(`${name} has version ${file.version}; wanted a whole number from 1`);
  if (hashes && !HASHES.some((algorithm) => Object.hasOwn(hashes, algorithm)))
    fail(`${name} has no sha256, sha384 or sha512`);
}

/** The roles that targets delegate to, in the order that they were written: that is the order of the search. */
export function delegatedRoles(targets: Targets, document: unknown): DelegatedRole[] {
  const roles = targets.delegations?.roles ?? {};
  const written = (document as { delegations?: { roles?: { name: string }[] } } | undefined)?.delegations
    ?.roles;
  // An object gives names that look like numbers out first, so the document's own list is asked.
  const names = written?.map(({ name }) => name) ?? Object.keys(roles);
  return names.flatMap((name) => (Object.hasOwn(roles, name) ? (roles[name] ?? []) : []));
}
