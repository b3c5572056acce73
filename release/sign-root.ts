import type { PublicKey, SignedRole } from '../protocol/tuf.ts';
import { ReleaseError } from './errors.ts';
import type { OnlineKeys } from './keys.ts';
import { expiresIn } from './sign-targets.ts';

const ROLES = ['root', 'targets', 'snapshot', 'timestamp'] as const;
export type TopRole = (typeof ROLES)[number];

interface RootDocument {
  _type: 'root';
  spec_version: string;
  version: number;
  expires: string;
  consistent_snapshot: boolean;
  keys: Record<string, PublicKey>;
  roles: Record<string, { keyids: string[]; threshold: number }>;
}

export interface RootChange {
  add: { role: TopRole; keyid: string; key: PublicKey }[];
  /** keyid may be its beginning. */
  remove: { role: TopRole; keyid: string }[];
  thresholds: Partial<Record<TopRole, number>>;
  /** Takes the place of the keys of snapshot and timestamp. */
  onlineKeys?: (OnlineKeys & { keyids: Record<keyof OnlineKeys, string> }) | undefined;
  expiresDays: number;
}

export const isTopRole = (role: string): role is TopRole => (ROLES as readonly string[]).includes(role);

/** Unsigned text of the next root, or of the first. Throws when no set of its keys could ever sign for a role. */
export function nextRoot(last: SignedRole<'root'> | undefined, change: RootChange): string {
  const document = last ? (structuredClone(last.signed.toJSON()) as unknown as RootDocument) : emptyRoot();
  document.version = (last?.signed.version ?? 0) + 1;
  document.expires = expiresIn(change.expiresDays);
  for (const { role, keyid } of change.remove) removeKey(document, role, keyid);
  for (const role of ['snapshot', 'timestamp'] as const) {
    if (!change.onlineKeys) continue;
    document.roles[role] = { keyids: [], threshold: 1 };
    addKey(document, role, change.onlineKeys.keyids[role], change.onlineKeys[role]);
  }
  for (const { role, keyid, key } of change.add) addKey(document, role, keyid, key);
  for (const role of ROLES) Object.assign(roleOf(document, role), thresholdOf(change, role));
  dropUnused(document);
  for (const role of ROLES) requirePossible(role, roleOf(document, role));
  return JSON.stringify({ signatures: [], signed: document }, null, 1);
}

const emptyRoot = (): RootDocument => ({
  _type: 'root',
  spec_version: '1.0.34',
  version: 0,
  expires: '',
  consistent_snapshot: true,
  keys: {},
  roles: Object.fromEntries(ROLES.map((role) => [role, { keyids: [], threshold: 1 }])),
});

const thresholdOf = ({ thresholds }: RootChange, role: TopRole): { threshold?: number } =>
  thresholds[role] === undefined ? {} : { threshold: thresholds[role] };

function roleOf({ roles }: RootDocument, role: string): { keyids: string[]; threshold: number } {
  return (roles[role] ??= { keyids: [], threshold: 1 });
}

function addKey(document: RootDocument, role: TopRole, keyid: string, key: PublicKey): void {
  const { keyids } = roleOf(document, role);
  if (!keyids.includes(keyid)) keyids.push(keyid);
  document.keys[keyid] = key;
}

function removeKey(document: RootDocument, role: TopRole, start: string): void {
  const named = roleOf(document, role);
  const found = named.keyids.filter((id) => id.startsWith(start));
  if (start.length < 8 || found.length !== 1)
    throw new ReleaseError(
      'draft',
      `Cannot remove key "${start}" of ${role}: ${found.length} keys start so; it has ${named.keyids.map((id) => id.slice(0, 16)).join(', ')}`,
    );
  named.keyids = named.keyids.filter((id) => id !== found[0]);
}

function dropUnused(document: RootDocument): void {
  const used = new Set(Object.values(document.roles).flatMap(({ keyids }) => keyids));
  document.keys = Object.fromEntries(Object.entries(document.keys).filter(([id]) => used.has(id)));
}

function requirePossible(
  role: TopRole,
  { keyids, threshold }: { keyids: string[]; threshold: number },
): void {
  if (threshold >= 1 && threshold <= keyids.length) return;
  const how = role === 'snapshot' || role === 'timestamp' ? '--server' : `--add ${role}=FILE`;
  throw new ReleaseError(
    'draft',
    `Cannot draft this root: ${role} would need ${threshold} of ${keyids.length} keys; add keys with ${how} or set --threshold ${role}=N`,
  );
}
