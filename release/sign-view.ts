import type { TargetFile } from '@tufjs/models';
import { sha256Hex } from '../protocol/canonical.ts';
import { looseningsOf } from '../protocol/loosenings.ts';
import { checkManifest, type Manifest, type ManifestService } from '../protocol/manifest.ts';
import { counterOf, FLOORS_FIELD, floorsOf } from '../protocol/release-line.ts';
import { delegationsOf, type SignedRole } from '../protocol/tuf.ts';
import { tufCanonical } from '../protocol/tuf-canonical.ts';
import { ReleaseError } from './errors.ts';
import { parseJson } from './oci/layout.ts';
import { type Draft, short, wantedOf } from './sign-draft.ts';
import { formerOf } from './sign-targets.ts';

/** What a signature on the draft would say, line by line: from what is signed and hashed, never from words beside it. */
export function draftLines(draft: Draft): string[] {
  const { role, metadata, last } = draft;
  const head = [
    `${role} version ${metadata.signed.version}, expires ${metadata.signed.expires}`,
    ...(last ? [`follows version ${last.signed.version}`] : ['the first of its kind']),
  ];
  const body =
    role === 'root'
      ? rootLines(last as SignedRole<'root'> | undefined, metadata as SignedRole<'root'>)
      : targetsLines(draft, last as SignedRole<'targets'> | undefined, metadata as SignedRole<'targets'>);
  const lines = [...body, ...otherLines(last, metadata)];
  return [
    ...head,
    '',
    ...(lines.length > 0 ? lines : ['nothing changes but version and expiry']),
    '',
    ...signatureLines(draft),
  ].map(printable);
}

/** Whoever drafts may be anybody: what they wrote must not move the cursor or turn the line around. */
const printable = (line: string): string =>
  line.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u${character.codePointAt(0)?.toString(16).padStart(4, '0')}`,
  );

/** Parts of metadata that have lines of their own. */
const SHOWN = new Set([
  '_type',
  'version',
  'expires',
  'keys',
  'roles',
  'consistent_snapshot',
  'targets',
  'delegations',
  FLOORS_FIELD,
]);

/** What changes in fields that this tool knows nothing of: a signature covers them as well. */
function otherLines(last: Draft['last'], next: Draft['metadata']): string[] {
  const [before, after] = [last, next].map((metadata) =>
    Object.entries(metadata?.signed.toJSON() ?? {})
      .filter(([field, value]) => !SHOWN.has(field) && value !== undefined)
      .map(([field, value]) => `${field}: ${tufCanonical(value)}`),
  );
  return difference(before ?? [], after ?? [])
    .filter(([, text]) => last !== undefined || !text.startsWith('spec_version:'))
    .map(([sign, text]) => `! ${sign} field ${text}`);
}

export function signatureLines(draft: Draft): string[] {
  return wantedOf(draft).map(({ by, threshold, signed, missing }) => {
    const wanting = Math.max(0, threshold - signed.length);
    const state = wanting === 0 ? 'enough' : `${wanting} missing, of ${missing.map(short).join(', ')}`;
    const who = signed.length > 0 ? ` (${signed.map(short).join(', ')})` : '';
    return `keys of ${by}: ${signed.length} of ${threshold} signatures${who}; ${state}`;
  });
}

function rootLines(last: SignedRole<'root'> | undefined, next: SignedRole<'root'>): string[] {
  const lines = Object.entries(next.signed.roles).flatMap(([role, { keyIDs, threshold }]) => {
    const before = last?.signed.roles[role];
    return [
      ...(before?.threshold === threshold
        ? []
        : [`${role}: threshold ${before ? `${before.threshold} becomes ` : ''}${threshold}`]),
      ...difference(before?.keyIDs ?? [], keyIDs).map(([sign, id]) =>
        `${role}: ${sign} ${id} ${next.signed.keys[id]?.keyType ?? last?.signed.keys[id]?.keyType ?? ''}`.trimEnd(),
      ),
    ];
  });
  const isStillConsistent = (last?.signed.consistentSnapshot ?? true) === next.signed.consistentSnapshot;
  return isStillConsistent ? lines : [...lines, `consistent snapshots: ${next.signed.consistentSnapshot}`];
}

function targetsLines(
  draft: Draft,
  last: SignedRole<'targets'> | undefined,
  next: SignedRole<'targets'>,
): string[] {
  const before = last?.signed.targets ?? {};
  const after = next.signed.targets;
  const lines = difference(Object.keys(before), Object.keys(after)).flatMap(([sign, path]) =>
    sign === '+' ? releaseLines(draft, last, after[path]) : [`- ${path}`],
  );
  for (const [path, target] of Object.entries(after)) {
    const was = before[path];
    if (was && tufCanonical(was.toJSON()) !== tufCanonical(target.toJSON())) lines.push(`! ${path} CHANGES`);
  }
  const floors = [last ? floorsOf(last.signed) : {}, floorsOf(next.signed)] as const;
  for (const [line, floor] of Object.entries(floors[1]))
    if (floors[0][line] !== floor) lines.push(`floor of ${line}: ${floors[0][line] ?? 0} becomes ${floor}`);
  for (const line of Object.keys(floors[0]).filter((name) => !Object.hasOwn(floors[1], name)))
    lines.push(`! floor of ${line} IS DROPPED`);
  return [...lines, ...delegationLines(last, next)];
}

function delegationLines(last: SignedRole<'targets'> | undefined, next: SignedRole<'targets'>): string[] {
  return difference(last ? delegationTexts(last) : [], delegationTexts(next)).map(
    ([sign, text]) => `${sign} ${text}`,
  );
}

const delegationTexts = (metadata: SignedRole<'targets'>): string[] =>
  delegationsOf(metadata).map(
    ({ name, threshold, keyIDs, paths, pathHashPrefixes, terminating }) =>
      `delegation to ${name}: ${(paths ?? pathHashPrefixes ?? []).join(', ')}; ${threshold} of ${keyIDs.map(short).join(', ')}${terminating ? '; terminating' : ''}`,
  );

function releaseLines(
  draft: Draft,
  last: SignedRole<'targets'> | undefined,
  target: TargetFile | undefined,
): string[] {
  if (!target) return [];
  const manifest = manifestOf(draft, target);
  if (!manifest)
    return [`+ ${target.path}, sha256 ${target.hashes['sha256']}, whose manifest is not in the draft`];
  const formerTarget = formerOf(last, manifest.name, target.path);
  const former = formerTarget && manifestOf(draft, formerTarget);
  const versus = former
    ? `, after ${former.version}`
    : formerTarget
      ? `, after ${formerTarget.path}`
      : ', the first of its line';
  return [
    `+ release ${manifest.name} ${manifest.version}, counter ${counterOf(target)}${versus}`,
    `  manifest ${target.hashes['sha256']}`,
    `  boards ${manifest.boards.join(', ')}`,
    ...customLines(target),
    ...(former ? partLines(former, manifest) : []),
    ...[
      ...agentLines(former, manifest),
      ...systemLines(former, manifest),
      ...serviceLines(former, manifest),
    ].map((line) => `  ${line}`),
  ];
}

/** What changes beside services: boards, networks, volumes, the policy, and what comes after this tool. */
function partLines(former: Manifest, manifest: Manifest): string[] {
  const parts = new Set([...Object.keys(former), ...Object.keys(manifest)]) as Set<keyof Manifest>;
  const changed = [...parts].filter(
    (part) =>
      !['version', 'services', 'agent', 'system'].includes(part) &&
      JSON.stringify(former[part]) !== JSON.stringify(manifest[part]),
  );
  return changed.length === 0 ? [] : [`  ~ ${changed.sort().join(', ')} changed`];
}

const customLines = ({ custom }: TargetFile): string[] =>
  Object.entries(custom)
    .filter(([field]) => field !== 'counter')
    .map(([field, value]) => `  ! custom ${field}: ${tufCanonical(value)}`);

/** The manifest behind a target, held to its signed hash. */
function manifestOf({ manifests }: Draft, target: TargetFile): Manifest | undefined {
  const text = Object.hasOwn(manifests, target.path) ? manifests[target.path] : undefined;
  if (text === undefined) return undefined;
  if (sha256Hex(text) !== target.hashes['sha256'] || Buffer.byteLength(text) !== target.length)
    throw new ReleaseError(
      'draft',
      `Cannot use the draft: its manifest of ${target.path} is not the one it names`,
    );
  const checked = checkManifest(parseJson(text));
  if (!checked.ok)
    throw new ReleaseError(
      'draft',
      `Cannot read the manifest of ${target.path}: ${checked.faults.join('; ')}`,
    );
  return checked.value;
}

function agentLines(former: Manifest | undefined, { agent }: Manifest): string[] {
  if (JSON.stringify(former?.agent) === JSON.stringify(agent)) return [];
  return [agent ? `! brings the agent ${agent.version}` : '- brings no agent any more'];
}

/** Kernel and all: whoever signs it signs for the whole board. */
function systemLines(former: Manifest | undefined, { system }: Manifest): string[] {
  if (JSON.stringify(former?.system) === JSON.stringify(system)) return [];
  if (!system) return ['- brings no system any more'];
  return [`! brings the system ${system.version} for ${Object.keys(system.boards).join(', ')}`];
}

function serviceLines(former: Manifest | undefined, manifest: Manifest): string[] {
  const before = former?.services ?? {};
  return difference(Object.keys(before), Object.keys(manifest.services))
    .map(([sign, name]) => `${sign} service ${name}`)
    .concat(
      Object.entries(manifest.services).flatMap(([name, service]) => {
        const was = before[name];
        return [...(was ? changedLines(name, was, service) : []), ...looseningLines(name, was, service)];
      }),
    );
}

function changedLines(name: string, was: ManifestService, is: ManifestService): string[] {
  const fields = new Set([...Object.keys(was), ...Object.keys(is)]) as Set<keyof ManifestService>;
  const changed = [...fields].filter((field) => JSON.stringify(was[field]) !== JSON.stringify(is[field]));
  return changed.length === 0 ? [] : [`~ service ${name}: ${changed.sort().join(', ')} changed`];
}

function looseningLines(name: string, was: ManifestService | undefined, is: ManifestService): string[] {
  return difference(was ? looseningsOf(was) : [], looseningsOf(is)).map(
    ([sign, line]) => `${sign === '+' ? '!' : '-'} ${name} ${line}${sign === '+' ? '' : ' no more'}`,
  );
}

/** What is in one and not in the other: removals first, each in its own order. */
function difference(before: readonly string[], after: readonly string[]): ['+' | '-', string][] {
  return [
    ...before.filter((text) => !after.includes(text)).map((text): ['-', string] => ['-', text]),
    ...after.filter((text) => !before.includes(text)).map((text): ['+', string] => ['+', text]),
  ];
}
