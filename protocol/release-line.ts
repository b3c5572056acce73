import type { TargetFile, Targets } from '@tufjs/models';

/**
 * What release keys sign beside a release's hash, against a fall back to a release known to be bad: each release of a
 * line (all of one name) has a counter, and the targets may set a floor for the line. A device installs nothing below
 * the highest floor it ever trusted. Both are fields of their own in TUF metadata, which signatures cover (§4).
 *
 *   targets["releases/demo/1.2.0/manifest.json"].custom.counter = 7
 *   signed["x-wherry-floors"] = { "demo": 5 }
 */
export const FLOORS_FIELD = 'x-wherry-floors';

const PATH = /^releases\/([^/]+)\/[^/]+\/manifest\.json$/;
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

/** The release line of a target path; undefined when it names no release. */
export const lineOf = (path: string): string | undefined => PATH.exec(path)?.[1];

/** 0 for a target that was signed without one. */
export function counterOf({ custom }: TargetFile): number {
  const { counter } = custom as { counter?: unknown };
  return isCount(counter) ? counter : 0;
}

/** By release line. Throws TypeError for a floor that is not a count: it would hold nothing back. */
export function floorsOf({ unrecognizedFields }: Targets): Record<string, number> {
  const floors: unknown = unrecognizedFields[FLOORS_FIELD] ?? {};
  if (typeof floors !== 'object' || floors === null || !Object.values(floors).every(isCount))
    throw new TypeError(`${FLOORS_FIELD} must give whole numbers by release name`);
  return floors as Record<string, number>;
}

/** The higher of each. */
export function highestFloors(...all: Record<string, number>[]): Record<string, number> {
  const highest = new Map<string, number>();
  for (const [line, floor] of all.flatMap((floors) => Object.entries(floors)))
    highest.set(line, Math.max(floor, highest.get(line) ?? 0));
  return Object.fromEntries(highest);
}
