import { digestOfLeaves, leafCount } from '../../protocol/fsverity.ts';
import type { ManifestBlob } from '../../protocol/manifest.ts';
import { blobObject, leavesObject } from '../../protocol/objects.ts';
import type { Refusal } from './check-manifest.ts';
import type { DeltaFetcher } from './delta/delta-fetcher.ts';
import { HalfPieces, PieceAssembler } from './piece-assembler.ts';
import type { BlobStore, ChunkSource, PartialBlob } from './ports.ts';
import { fillFromSlot, type SeedParts } from './slot-seed.ts';
import { SourceError } from './sources/source-error.ts';

/** How often the same wrong data is asked for again before the release is refused. */
export const WRONG_DATA_TRIES = 3;

interface BlobDeps {
  source: ChunkSource;
  blobs: BlobStore;
  deltas: DeltaFetcher;
  /** Where a blob of the system may lie already; absent = nowhere. */
  seed?: SeedParts | undefined;
  /** What an earlier try has brought and not yet written. */
  half?: HalfPieces;
}

/**
 * Brings one layer to disk, whole and verified, by a delta where one is offered. `onBytes` hears of each verified piece. Throws SourceError and
 * BlobCorrupt; whatever was verified by then is kept for the next try.
 */
export async function fetchBlob(
  layer: ManifestBlob,
  { source, blobs, deltas, seed, half = new HalfPieces() }: BlobDeps,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<{ ok: true } | Refusal> {
  const leaves = await fetchLeaves(layer, source, signal);
  if (!leaves) return refused(layer, 'its leaf hashes do not give the signed digest');
  const blob = await blobs.resume(layer.verity, layer.size, leaves);
  let isOpen = true;
  try {
    if (seed) await fillFromSlot(layer, blob, seed, signal);
    await deltas.fill(layer, blob, onBytes, signal);
    const assembler = new PieceAssembler(blob, layer.size, half.of(layer.verity), onBytes);
    const piece = await fillBlob(layer, blob, assembler, source, signal);
    if (piece !== undefined) return refused(layer, `piece ${piece} came wrong ${WRONG_DATA_TRIES} times`);
    isOpen = false;
    await blob.finish();
    return { ok: true };
  } finally {
    if (isOpen) await blob.close();
  }
}

/** Undefined when done; else the piece that the source cannot give as it was signed. */
async function fillBlob(
  { verity }: ManifestBlob,
  blob: PartialBlob,
  assembler: PieceAssembler,
  source: ChunkSource,
  signal: AbortSignal,
): Promise<number | undefined> {
  for (;;) {
    if (blob.missing().length === 0) return undefined;
    for (const [piece, times] of assembler.spoiled) if (times >= WRONG_DATA_TRIES) return piece;
    const take = assembler.take.bind(assembler);
    await source.fetch(blobObject(verity), assembler.lacking(), take, signal);
    if (assembler.spoiled.size > 0 && source.blame?.()) assembler.spoiled.clear();
  }
}

async function fetchLeaves(
  { verity, size }: ManifestBlob,
  source: ChunkSource,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const bytes = leafCount(size) * 32;
  for (let attempt = 0; attempt < WRONG_DATA_TRIES; ) {
    try {
      const leaves = await source.read(leavesObject(verity), bytes, signal);
      if (leaves.length === bytes && digestOfLeaves(leaves, size) === verity) return leaves;
    } catch (error) {
      if (!(error instanceof SourceError) || error.code !== 'too-large') throw error;
    }
    // Another source has all its tries still.
    if (source.blame?.() !== true) attempt++;
  }
  return undefined;
}

const refused = (layer: ManifestBlob, what: string): Refusal => ({
  ok: false,
  code: 'refused.blob-digest',
  message: `Cannot accept blob ${layer.verity.slice(0, 12)}: ${what}`,
});
