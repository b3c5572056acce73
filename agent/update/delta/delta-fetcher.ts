import { type FileHandle, open } from 'node:fs/promises';
import type { Base } from '../../../protocol/delta/bases.ts';
import { DeltaMalformed } from '../../../protocol/delta/delta-malformed.ts';
import { LEAST_OFFERED_BYTES, MOST_CANDIDATES, type ReadyOffer } from '../../../protocol/delta/offer.ts';
import { PIECE_BYTES } from '../../../protocol/fsverity.ts';
import type { BlobStore, ChunkSource, PartialBlob } from '../ports.ts';
import { SourceError } from '../sources/source-error.ts';
import { applyDelta } from './apply-delta.ts';
import { readFront } from './delta-front.ts';
import { DeltaUnusable } from './delta-unusable.ts';
import { readOffer } from './offers.ts';

/** How long a server may take to make a delta before the blob is fetched whole. */
const WAIT_MS = 10 * 60_000;
/** A server may drop a delta that is being fetched; it is asked for another so often. */
const OFFERS = 3;

export interface DeltaFetcherOptions {
  source: ChunkSource;
  blobs: BlobStore;
  /** Older versions of a layer that may be on this device, the likeliest first. */
  basesOf(layer: Base): Base[];
  /** Deltas that were no good, by sha256: not tried again in this download. */
  spurned: Set<string>;
  /** A delta could not be used and why, in one sentence; the blob is fetched whole. */
  onUnusable(message: string): void;
  /** Why nothing comes just now, in one sentence. */
  onWait(message: string): void;
  waitMs?: number;
}

/** Fills what it can of a blob from deltas. What it leaves missing is fetched whole. */
export class DeltaFetcher {
  readonly #options: DeltaFetcherOptions;
  #isReachable = true;

  constructor(options: DeltaFetcherOptions) {
    this.#options = options;
  }

  /** Throws SourceError when the source fails half-way, and what the disk throws. */
  async fill(
    layer: Base,
    blob: PartialBlob,
    onBytes: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    if (layer.size < LEAST_OFFERED_BYTES) return;
    for (let tries = 0; tries < OFFERS && blob.missing().length > 0; tries++) {
      const bases = await this.#heldBases(layer);
      if (bases.length === 0 && isMostlyThere(layer, blob)) return;
      const offer = await this.#offer(layer, bases, signal);
      if (!offer || this.#options.spurned.has(offer.delta)) return;
      try {
        return await this.#apply(offer, layer, bases, blob, onBytes, signal);
      } catch (error) {
        const isGone = error instanceof SourceError && error.code === 'unknown-object';
        if (isGone) continue;
        const why = faultOf(error);
        if (why === undefined) throw error;
        this.#options.spurned.add(offer.delta);
        this.#options.onUnusable(
          `Cannot use a delta for blob ${layer.verity.slice(0, 12)}: ${why}; fetching the blob whole`,
        );
        return;
      }
    }
  }

  async #heldBases(layer: Base): Promise<Base[]> {
    const { blobs, basesOf } = this.#options;
    const held: Base[] = [];
    for (const base of basesOf(layer)) {
      if (base.size > 0 && (await blobs.has(base.verity, base.size))) held.push(base);
      if (held.length === MOST_CANDIDATES) break;
    }
    return held;
  }

  /** No answer to the question is no fault of the download: the whole blob may come from elsewhere. */
  async #offer(layer: Base, bases: Base[], signal: AbortSignal): Promise<ReadyOffer | undefined> {
    if (!this.#isReachable) return undefined;
    const { source, waitMs = WAIT_MS } = this.#options;
    try {
      const candidates = bases.map(({ verity }) => verity);
      const onWait = () =>
        this.#options.onWait(
          `Cannot fetch blob ${layer.verity.slice(0, 12)} yet: the server is making a delta for it; asking again`,
        );
      return await readOffer(source, layer.verity, candidates, { waitMs, onWait }, signal);
    } catch (error) {
      if (!(error instanceof SourceError) || error.code === 'aborted') throw error;
      this.#isReachable = false;
      return undefined;
    }
  }

  async #apply(
    offer: ReadyOffer,
    layer: Base,
    bases: readonly Base[],
    blob: PartialBlob,
    onBytes: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { source, blobs } = this.#options;
    const base = bases.find(({ verity }) => verity === offer.old);
    if (offer.old !== undefined && !base)
      throw new DeltaUnusable('it is for an old blob that is not on this device');
    const front = await readFront(source, offer, layer, base, signal);
    const old = base && (await openOld(blobs.pathOf(base.verity)));
    try {
      await applyDelta({ front, delta: offer.delta, old, blob, onBytes }, source, signal);
    } finally {
      await old?.close();
    }
  }
}

/** A delta against nothing is all of a blob, compressed: more than its last few pieces. */
const isMostlyThere = ({ size }: Base, blob: PartialBlob): boolean =>
  blob.missing().length * 2 * PIECE_BYTES < size;

const openOld = (path: string): Promise<FileHandle> =>
  open(path, 'r').catch((cause: Error) => {
    throw new DeltaUnusable(`the old blob cannot be read: ${cause.message}`, { cause });
  });

/** What is wrong with the delta; undefined when something else is. */
function faultOf(error: unknown): string | undefined {
  if (error instanceof DeltaUnusable || error instanceof DeltaMalformed) return error.message;
  const isRefused = error instanceof SourceError && (error.code === 'rejected' || error.code === 'too-large');
  return isRefused ? error.message : undefined;
}
