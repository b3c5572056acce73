import type { InstalledRelease, UpdateRecord } from './update/core/record.ts';

type Held = Pick<InstalledRelease, 'release'> & { manifest: string | undefined };

/** Every release that this device may run without fetching it: in force, to roll back to, on its way. */
const ALL_HELD = ({ current, previous, incoming }: UpdateRecord): (Held | undefined)[] => [
  current,
  previous,
  incoming,
];
/** Those of which somebody may say that a service is theirs now, or soon. */
export const NOT_LEFT = ({ current, incoming }: UpdateRecord): (Held | undefined)[] => [current, incoming];

/**
 * Names of the services of these releases. Undefined when a manifest cannot be read, or there is none: a ledger that was
 * lost says nothing of them.
 */
export function heldServices(
  record: () => UpdateRecord,
  releases = ALL_HELD,
): () => ReadonlySet<string> | undefined {
  /** By the manifest's digest: a manifest may be large and stays for months. */
  let known = new Map<string, readonly string[]>();
  return () => {
    const next = new Map<string, readonly string[]>();
    for (const held of releases(record())) {
      if (held?.manifest === undefined) continue;
      const names = known.get(held.release.manifest) ?? namesIn(held.manifest);
      if (names === undefined) return undefined;
      next.set(held.release.manifest, names);
    }
    known = next;
    return next.size === 0 ? undefined : new Set([...next.values()].flat());
  };
}

function namesIn(manifest: string): string[] | undefined {
  try {
    return Object.keys((JSON.parse(manifest) as { services: object }).services);
  } catch {
    return undefined;
  }
}
