import { setTimeout as wait } from 'node:timers/promises';
import {
  checkOffer,
  type DeltaOffer,
  MOST_OFFER_BYTES,
  offerObject,
  type ReadyOffer,
} from '../../../protocol/delta/offer.ts';
import type { ChunkSource } from '../ports.ts';
import { aborted, SourceError } from '../sources/source-error.ts';

const LEAST_WAIT_MS = 50;

export interface OfferPatience {
  waitMs: number;
  /** The delta is still being made; called once. */
  onWait(): void;
}

/**
 * The delta that the source offers for a blob to who holds `candidates` (digests); undefined when it offers none, has
 * none after `waitMs`, or says what cannot be read. Throws SourceError when it is unreachable.
 */
export async function readOffer(
  source: ChunkSource,
  digest: string,
  candidates: readonly string[],
  { waitMs, onWait }: OfferPatience,
  signal: AbortSignal,
): Promise<ReadyOffer | undefined> {
  const object = offerObject(digest, candidates);
  const until = performance.now() + waitMs;
  for (let times = 0; ; times++) {
    const offer = await readOnce(source, object, signal);
    if (offer?.state === 'ready') return offer;
    if (offer?.state !== 'building' || performance.now() >= until) return undefined;
    if (times === 0) onWait();
    // The other half at random: many devices that wait for one delta do not come back at once.
    const ms = Math.max(LEAST_WAIT_MS, offer.retryAfterMs);
    await wait(ms / 2 + (Math.random() * ms) / 2, undefined, { signal }).catch(() => {
      throw aborted(object);
    });
  }
}

/** What a source says at once of deltas; undefined where it knows none. Throws SourceError when it is unreachable. */
export async function readOnce(
  source: ChunkSource,
  object: string,
  signal: AbortSignal,
): Promise<DeltaOffer | undefined> {
  try {
    const text = await source.read(object, MOST_OFFER_BYTES, signal);
    const checked = checkOffer(JSON.parse(text.toString('utf8')));
    return checked.ok ? checked.value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    // A source that knows no offers has none.
    if (error instanceof SourceError && error.code !== 'unreachable' && error.code !== 'aborted')
      return undefined;
    throw error;
  }
}
