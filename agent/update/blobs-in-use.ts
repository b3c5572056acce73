import { blobsIn, type Manifest, type Receiver } from '../../protocol/manifest.ts';
import type { UpdateRecord } from './core/record.ts';
import { parseManifest } from './desired-services.ts';

/**
 * Digests of the blobs that current, previous and incoming need: none of them is ever collected. Undefined while a
 * manifest is unknown, or of a kind that this agent cannot read: everything may be needed.
 */
export function blobsInUse(
  { current, previous, incoming }: UpdateRecord,
  receiver: Receiver,
): Set<string> | undefined {
  const digests = new Set<string>();
  for (const release of [current, previous, incoming]) {
    if (!release) continue;
    const manifest = parseManifest(release.manifest);
    if (!manifest) return undefined;
    for (const { verity } of blobsIn(manifest, receiver)) digests.add(verity);
  }
  return digests;
}

/** Releases that are on the device whole, the one in force first. */
export function releasesHeld({ current, previous }: UpdateRecord): Manifest[] {
  const held = [current, previous].map((release) => parseManifest(release?.manifest));
  return held.filter((manifest) => manifest !== undefined);
}
