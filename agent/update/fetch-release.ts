import type { Board } from '../../protocol/board.ts';
import { basesOf } from '../../protocol/delta/bases.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { type Manifest, type Platform, systemFor, targetPath } from '../../protocol/manifest.ts';
import { manifestObject } from '../../protocol/objects.ts';
import { formatBytes } from '../../protocol/quantities.ts';
import { type CheckedManifest, judgeManifest, type Refusal } from './check-manifest.ts';
import { type BlobOnDisk, blobsFor, type FetchPlan, planFetch, shortfallOf } from './core/fetch-plan.ts';
import { labelOf, type ReleaseRef } from './core/record.ts';
import { DeltaFetcher } from './delta/delta-fetcher.ts';
import { fetchBlob, WRONG_DATA_TRIES } from './fetch-blob.ts';
import type { HalfPieces } from './piece-assembler.ts';
import type { BlobStore, ChunkSource, ReleaseTrust, Standing, SystemSlots } from './ports.ts';
import { SourceError } from './sources/source-error.ts';

export interface Progress {
  doneBytes: number;
  totalBytes: number;
  reusedBytes: number;
}

export interface FetchDeps {
  source: ChunkSource;
  blobs: BlobStore;
  trust: ReleaseTrust;
  board: Board;
  platform: Platform;
  /** What a slot of this board holds; absent = it has none. */
  slots: Pick<SystemSlots, 'capacity' | 'read'> | undefined;
  /** Trusted time, Unix milliseconds. */
  now(): number;
  /** Durable when it returns: the manifest passed every check. */
  onManifest(text: string, manifest: Manifest, standing: Standing): void;
  onProgress(progress: Progress): void;
  /** Releases whose blobs are on the device, the newest first: what deltas may be against. */
  held(): Manifest[];
  /** Deltas that were no good, by sha256: not tried again in this download. */
  spurned: Set<string>;
  /** What an earlier try of this download has brought and not yet written. */
  half: HalfPieces;
  /** A delta could not be used, in one sentence; its blob is fetched whole. */
  onDeltaUnusable(message: string): void;
  /** Why nothing comes just now, in one sentence. */
  onWait(message: string): void;
  /** Frees what no pinned release needs. */
  collect(): Promise<void>;
}

export type ManifestDeps = Pick<
  FetchDeps,
  'source' | 'trust' | 'board' | 'platform' | 'slots' | 'now' | 'onManifest' | 'held'
>;

/** Fetches and verifies all of a release that the device lacks. Throws SourceError when the source cannot serve. */
export async function fetchRelease(
  release: ReleaseRef,
  deps: FetchDeps,
  signal: AbortSignal,
): Promise<{ ok: true } | Refusal> {
  const checked = await fetchManifest(release, deps, signal);
  if (!checked.ok) return checked;
  const plan = await planFor(checked.manifest, deps);
  const progress = { doneBytes: plan.doneBytes, totalBytes: plan.totalBytes, reusedBytes: plan.reusedBytes };
  deps.onProgress({ ...progress });
  const full = await refuseIfFull(release, plan, deps);
  if (full) return full;
  const deltas = deltasFor(checked.manifest, deps);
  const system = systemFor(checked.manifest, deps.board.name);
  const onTaken = (bytes: number) => {
    progress.reusedBytes += bytes;
    progress.totalBytes -= bytes;
    deps.onProgress({ ...progress });
  };
  const seed = system && deps.slots && { system, slots: deps.slots, onTaken };
  for (const layer of plan.lacking) {
    const onBytes = (bytes: number) => {
      progress.doneBytes += bytes;
      deps.onProgress({ ...progress });
    };
    const fetched = await fetchBlob(layer, { ...deps, deltas, seed }, onBytes, signal);
    if (!fetched.ok) return fetched;
  }
  return { ok: true };
}

function deltasFor(manifest: Manifest, deps: FetchDeps): DeltaFetcher {
  const { source, blobs, platform, board, spurned, held } = deps;
  return new DeltaFetcher({
    source,
    blobs,
    spurned,
    basesOf: (layer) => basesOf(layer, manifest, held(), { platform, board: board.name }),
    onUnusable: (message) => deps.onDeltaUnusable(message),
    onWait: (message) => deps.onWait(message),
  });
}

/** The manifest of a release, as its keys signed it and as this device may run it. Throws SourceError. */
export async function fetchManifest(
  release: ReleaseRef,
  { source, trust, board, platform, slots, now, onManifest, held }: ManifestDeps,
  signal: AbortSignal,
): Promise<CheckedManifest> {
  const target = await trust.targetOf(targetPath(release.name, release.version), now(), source, signal);
  if (!target.ok) return target;
  if (target.sha256 !== release.manifest)
    return {
      ok: false,
      code: 'refused.target-missing',
      message: `Cannot install ${labelOf(release)}: the assignment and the signed targets name different manifests`,
    };
  const maxBytes = Math.min(target.length, LIMITS.manifestBytes);
  for (let attempt = 1; ; ) {
    const content = await readBounded(source, manifestObject(release.manifest), maxBytes, signal);
    const judged = judgeManifest(
      content,
      release,
      { board, platform, slots: slots?.capacity },
      held()[0] ?? {},
    );
    if (judged.ok) onManifest(content.toString('utf8'), judged.manifest, target.standing);
    if (judged.ok || judged.code !== 'refused.manifest-digest' || attempt >= WRONG_DATA_TRIES) return judged;
    if (source.blame?.() !== true) attempt++;
  }
}

/** An object past its signed length is wrong data, not a fault of the line: it reads as empty. */
async function readBounded(
  source: ChunkSource,
  object: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Buffer> {
  try {
    return await source.read(object, maxBytes, signal);
  } catch (error) {
    if (error instanceof SourceError && error.code === 'too-large') return Buffer.alloc(0);
    throw error;
  }
}

/** What of a release is on the disk, and what is not. */
export async function planFor(
  manifest: Manifest,
  { blobs, platform, board }: Pick<FetchDeps, 'blobs' | 'platform' | 'board'>,
): Promise<FetchPlan> {
  const wanted = blobsFor(manifest, { platform, board: board.name });
  const onDisk = new Map<string, BlobOnDisk>();
  for (const { verity, size } of wanted) {
    const isWhole = await blobs.has(verity, size);
    onDisk.set(verity, { isWhole, partialBytes: isWhole ? 0 : await blobs.partialBytes(verity, size) });
  }
  return planFetch(wanted, onDisk);
}

async function refuseIfFull(
  release: ReleaseRef,
  plan: FetchPlan,
  { blobs, collect }: FetchDeps,
): Promise<Refusal | undefined> {
  if (plan.lacking.length === 0 || shortfallOf(plan, await blobs.freeBytes()) === 0) return undefined;
  await collect();
  const shortfall = shortfallOf(plan, await blobs.freeBytes());
  if (shortfall === 0) return undefined;
  return {
    ok: false,
    code: 'refused.disk',
    message: `Cannot fetch ${labelOf(release)}: ${formatBytes(shortfall)} of disk space is wanting for ${formatBytes(plan.totalBytes)}; free some`,
  };
}
