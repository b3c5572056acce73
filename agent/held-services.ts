import type { UpdateRecord } from './update/core/record.ts';

/**
 * Names of the services of every release that this device may run without fetching it: in force, to roll back to, on
 * its way. Undefined when a manifest cannot be read, or there is none: a ledger that was lost says nothing of them.
 */
export function heldServices(record: () => UpdateRecord): () => ReadonlySet<string> | undefined {
  /** By the manifest's digest: a manifest may be large and stays for months. */
  let known = new Map<string, readonly string[]>();
  return () => {
    const { current, previous, incoming } = record();
    const next = new Map<string, readonly string[]>();
    for (const held of [current, previous, incoming]) {
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
