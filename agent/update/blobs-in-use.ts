import type { Manifest, Platform } from '../../protocol/manifest.ts';
import { layersOf } from './core/fetch-plan.ts';
import type { UpdateRecord } from './core/record.ts';
import { parseManifest } from './desired-services.ts';

/**
 * Digests of the blobs that current, previous and incoming need: none of them is ever collected. Undefined while an
 * incoming manifest is unknown: everything may be needed.
 */
export function blobsInUse(
  { current, previous, incoming }: UpdateRecord,
  platform: Platform,
): Set<string> | undefined {
  if (incoming && incoming.manifest === undefined) return undefined;
  const held = [current, previous, incoming].map((release) => parseManifest(release?.manifest));
  return new Set(
    held.flatMap((manifest) => (manifest ? layersOf(manifest, platform).map(({ verity }) => verity) : [])),
  );
}

/** Releases that are on the device whole, the one in force first. */
export function releasesHeld({ current, previous }: UpdateRecord): Manifest[] {
  const held = [current, previous].map((release) => parseManifest(release?.manifest));
  return held.filter((manifest) => manifest !== undefined);
}
