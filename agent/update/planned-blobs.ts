import { type Base, basesOf } from '../../protocol/delta/bases.ts';
import { LEAST_OFFERED_BYTES, MOST_CANDIDATES, offerObject } from '../../protocol/delta/offer.ts';
import type { Manifest, ManifestBlob, Receiver } from '../../protocol/manifest.ts';
import type { PlanAnswer, PlannedBlob } from '../local-api/plan-port.ts';
import { systemImageOf } from '../system-slots/system-image.ts';
import { releasesHeld } from './blobs-in-use.ts';
import { blobsFor } from './core/fetch-plan.ts';
import { readOnce } from './delta/offers.ts';
import type { ReleasePlanParts } from './plan-release.ts';
import type { BlobStore, ChunkSource } from './ports.ts';
import { SourceError } from './sources/source-error.ts';

/** Every blob of a release, and how it would come if it were fetched now. Throws SourceError when aborted. */
export async function plannedBlobs(
  manifest: Manifest,
  receiver: Receiver,
  { blobs, record }: Pick<ReleasePlanParts, 'blobs' | 'record'>,
  source: ChunkSource,
  signal: AbortSignal,
): Promise<PlannedBlob[]> {
  const held = releasesHeld(record());
  const names = placesOf(manifest, receiver);
  const planned: PlannedBlob[] = [];
  const asking = { isReachable: true };
  for (const blob of blobsFor(manifest, receiver)) {
    const { verity: digest, size: sizeBytes } = blob;
    const common = { of: names.get(digest) ?? 'blob', digest, sizeBytes };
    if (await blobs.has(digest, sizeBytes)) {
      planned.push({ ...common, how: 'have', bytes: 0 });
      continue;
    }
    const done = await blobs.partialBytes(digest, sizeBytes);
    const bases = basesOf(blob, manifest, held, receiver);
    const offer = await offerFor(blob, bases, blobs, source, asking, signal);
    const rest = { how: done > 0 ? 'partial' : 'full', bytes: sizeBytes - done } as const;
    const best = offer.bytes !== undefined && offer.bytes < rest.bytes ? offer : undefined;
    planned.push({
      ...common,
      ...(best?.bytes === undefined ? rest : { how: best.isDelta ? 'delta' : 'full', bytes: best.bytes }),
      ...(offer.isBuilding && { isBuilding: true as const }),
    });
  }
  return planned;
}

interface Offer {
  bytes?: number;
  isDelta?: boolean;
  isBuilding?: boolean;
}

/** What the source offers now. One that does not answer is not asked again: the blob may come from elsewhere. */
async function offerFor(
  { verity, size }: ManifestBlob,
  bases: readonly Base[],
  blobs: BlobStore,
  source: ChunkSource,
  asking: { isReachable: boolean },
  signal: AbortSignal,
): Promise<Offer> {
  if (size < LEAST_OFFERED_BYTES || !asking.isReachable) return {};
  const candidates: string[] = [];
  for (const base of bases) {
    if (candidates.length === MOST_CANDIDATES) break;
    if (base.size > 0 && (await blobs.has(base.verity, base.size))) candidates.push(base.verity);
  }
  try {
    const offer = await readOnce(source, offerObject(verity, candidates), signal);
    if (offer?.state === 'building') return { isBuilding: true };
    return offer?.state === 'ready' ? { bytes: offer.bytes, isDelta: offer.old !== undefined } : {};
  } catch (error) {
    if (!(error instanceof SourceError) || signal.aborted) throw error;
    asking.isReachable = false;
    return {};
  }
}

/** Where a blob first stands in the release, in words. */
function placesOf(manifest: Manifest, { platform, board }: Receiver): Map<string, string> {
  const places = new Map<string, string>();
  const note = (digest: string, place: string): void => {
    if (!places.has(digest)) places.set(digest, place);
  };
  for (const [name, { images }] of Object.entries(manifest.services))
    for (const [index, { verity }] of (images[platform]?.layers ?? []).entries())
      note(verity, `service ${name}, layer ${index + 1}`);
  for (const [index, { verity }] of (manifest.agent?.images[platform]?.layers ?? []).entries())
    note(verity, `agent, layer ${index + 1}`);
  const system = board === undefined ? undefined : systemImageOf(manifest, board);
  if (system) {
    note(system.boot.verity, 'system, boot');
    note(system.root.verity, 'system, root');
  }
  return places;
}

export function summed(blobs: PlannedBlob[]): PlanAnswer['fetch'] {
  const sum = (wanted: (blob: PlannedBlob) => boolean, of: 'bytes' | 'sizeBytes'): number =>
    blobs.filter(wanted).reduce((total, blob) => total + blob[of], 0);
  return {
    bytes: sum(() => true, 'bytes'),
    haveBytes: sum(({ how }) => how === 'have', 'sizeBytes'),
    deltaBytes: sum(({ how }) => how === 'delta', 'bytes'),
    fullBytes: sum(({ how }) => how === 'full' || how === 'partial', 'bytes'),
    blobs,
  };
}
