import type { TargetFile } from '@tufjs/models';
import { targetPath } from '../protocol/manifest.ts';
import { counterOf, FLOORS_FIELD, floorsOf, lineOf } from '../protocol/release-line.ts';
import { type Delegator, delegationsOf, type PublicKey, type SignedRole } from '../protocol/tuf.ts';
import { isDelegated } from '../protocol/tuf-paths.ts';
import { ReleaseError } from './errors.ts';
import type { ManifestFile } from './folder.ts';

const SPEC_VERSION = '1.0.34';
const DAY_MS = 86_400_000;

/** The signed part of targets metadata, as it is written. */
interface TargetsDocument {
  _type: 'targets';
  spec_version: string;
  version: number;
  expires: string;
  targets: Record<string, object>;
  delegations?: { keys: Record<string, object>; roles: object[] };
  [field: string]: unknown;
}

/** TUF's date form has no fractions. */
export const expiresIn = (days: number, now = Date.now()): string =>
  new Date(now + days * DAY_MS).toISOString().replace(/\.[0-9]{3}Z$/, 'Z');

/** Unsigned text of the next version: all that the last held, fields of others included, changed by `change`. */
export function nextTargets(
  last: SignedRole<'targets'> | undefined,
  expiresDays: number,
  change: (document: TargetsDocument) => void = () => {},
): string {
  const before = last ? (structuredClone(last.signed.toJSON()) as unknown as TargetsDocument) : undefined;
  const document: TargetsDocument = {
    ...(before ?? { _type: 'targets', spec_version: SPEC_VERSION, targets: {} }),
    version: (last?.signed.version ?? 0) + 1,
    expires: expiresIn(expiresDays),
  };
  if (last && document.delegations)
    document.delegations.roles = delegationsOf(last).map((role) => role.toJSON());
  change(document);
  return JSON.stringify({ signatures: [], signed: document }, null, 1);
}

/** Names a release; the counter of its line goes up by one. A release that is named already stays as it is. */
export function nameRelease({ manifest, bytes, sha256 }: ManifestFile) {
  return (document: TargetsDocument): void => {
    const path = targetPath(manifest.name, manifest.version);
    if (document.targets[path]) return;
    const counters = Object.entries(document.targets)
      .filter(([other]) => lineOf(other) === manifest.name)
      .map(([, target]) => (target as { custom?: { counter?: number } }).custom?.counter ?? 0);
    const counter = Math.max(0, floorIn(document, manifest.name), ...counters) + 1;
    document.targets[path] = { length: bytes.length, hashes: { sha256 }, custom: { counter } };
  };
}

const floorIn = (document: TargetsDocument, line: string): number =>
  (document[FLOORS_FIELD] as Record<string, number> | undefined)?.[line] ?? 0;

/** From now on no device installs a release of the line older than this version. */
export function raiseFloor(last: SignedRole<'targets'> | undefined, name: string, version: string) {
  const target = last?.signed.targets[targetPath(name, version)];
  if (!target)
    throw new ReleaseError('draft', `Cannot set the floor of ${name}: ${version} was never signed`);
  const counter = counterOf(target);
  const before = last ? (floorsOf(last.signed)[name] ?? 0) : 0;
  if (counter <= before)
    throw new ReleaseError(
      'draft',
      `Cannot set the floor of ${name} to ${version}: its counter is ${counter}, the floor is ${before}; a floor only rises`,
    );
  return (document: TargetsDocument): void => {
    document[FLOORS_FIELD] = { ...(document[FLOORS_FIELD] as object | undefined), [name]: counter };
  };
}

export interface Delegation {
  role: string;
  keys: { keyid: string; key: PublicKey }[];
  threshold: number;
  paths: string[];
  isTerminating: boolean;
}

const ROLE = /^[a-z][a-z0-9-]{0,31}$/;
const TOP_LEVEL = ['root', 'targets', 'snapshot', 'timestamp'];

/** Lets a role sign for some paths; an entry of the same name is replaced in its place. */
export function delegate({ role, keys, threshold, paths, isTerminating }: Delegation) {
  const fail = (what: string): never => {
    throw new ReleaseError('draft', `Cannot delegate to "${role}": ${what}`);
  };
  if (!ROLE.test(role) || TOP_LEVEL.includes(role))
    fail('wanted a name of a–z, 0–9 and -, not a top-level role');
  if (paths.length === 0) fail('no paths are given; set --path');
  if (threshold < 1 || threshold > keys.length)
    fail(`threshold ${threshold} of ${keys.length} keys cannot be met`);
  return (document: TargetsDocument): void => {
    const delegations = (document.delegations ??= { keys: {}, roles: [] });
    for (const { keyid, key } of keys) delegations.keys[keyid] = key;
    const keyids = keys.map(({ keyid }) => keyid);
    const entry = { name: role, keyids, threshold, terminating: isTerminating, paths };
    const at = delegations.roles.findIndex((other) => (other as { name: string }).name === role);
    if (at < 0) delegations.roles.push(entry);
    else delegations.roles[at] = entry;
  };
}

/** Takes a role its delegation. What it signed is found no more. */
export const withdraw =
  (role: string) =>
  (document: TargetsDocument): void => {
    const { delegations } = document;
    const kept = delegations?.roles.filter((other) => (other as { name: string }).name !== role) ?? [];
    if (!delegations || kept.length === delegations.roles.length)
      throw new ReleaseError('draft', `Cannot withdraw "${role}": targets do not delegate to it`);
    delegations.roles = kept;
    if (kept.length === 0) delete document.delegations;
  };

/** Refuses a release that the role may not name: devices would not find it. */
export function requireDelegated(delegator: Delegator | undefined, role: string, path: string): void {
  if (role === 'targets') return;
  const named =
    delegator?.signed.type === 'targets'
      ? delegationsOf(delegator as SignedRole<'targets'>).find(({ name }) => name === role)
      : undefined;
  if (!named) throw new ReleaseError('draft', `Cannot sign for "${role}": targets do not delegate to it`);
  if (!isDelegated(named, path))
    throw new ReleaseError(
      'draft',
      `Cannot sign ${path} for "${role}": it may name ${(named.paths ?? []).join(', ') || 'paths by their hash'} only`,
    );
}

/** The release before in its line: the highest counter that targets name. */
export function formerOf(
  targets: SignedRole<'targets'> | undefined,
  name: string,
  path: string,
): TargetFile | undefined {
  return Object.values(targets?.signed.targets ?? {})
    .filter((target) => lineOf(target.path) === name && target.path !== path)
    .sort((a, b) => counterOf(b) - counterOf(a))[0];
}

export function requireSameContent(
  { name, version }: { name: string; version: string },
  signed: string | undefined,
  sha256: string,
): void {
  if (signed === undefined || signed === sha256) return;
  throw new ReleaseError(
    'already-signed',
    `Cannot sign ${name} ${version}: another manifest was signed under this version; raise the version`,
  );
}
