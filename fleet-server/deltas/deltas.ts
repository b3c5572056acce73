import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { Logger } from 'pino';
import { type DeltaOffer, isWorthIt, LEAST_OFFERED_BYTES } from '../../protocol/delta/offer.ts';
import { DELTA_VERSION } from '../../protocol/delta/table.ts';
import { blobObject } from '../../protocol/objects.ts';
import type { ObjectStore } from '../releases/object-store.ts';
import { BuildQueue } from './build-queue.ts';
import type { DeltaBuilder } from './delta-builder.ts';
import type { DeltaCache, DeltaRecord } from './delta-cache.ts';

/** For whoever asks first. */
const FIRST_LEVEL = 9;
/** In the background, for all who come later. */
const BEST_LEVEL = 19;
/** A compressed blob that saves less than this of the blob is not worth decompressing. */
const PACKED_WORTH = 0.9;
const MOST_WAITING = 64;
const RETRY_AFTER_MS = { least: 1_000, most: 30_000, perAsker: 5 };
const MOST_NAMES = 10_000;
/** After a build that failed, nobody tries for so long. */
const FAILED_MS = 600_000;

export interface DeltasOptions {
  cache: DeltaCache;
  builder: DeltaBuilder;
  objects: Pick<ObjectStore, 'pathOf' | 'sizeOf' | 'named'>;
  now: () => number;
  log: Pick<Logger, 'warn' | 'info'>;
}

/** Deltas between the blobs that this server holds: made when first asked for, kept, and made better in idle time. */
export class Deltas {
  readonly #options: DeltasOptions;
  readonly #queue: BuildQueue;
  /** When the build of these failed, by the key of its job. */
  readonly #failedAt = new Map<string, number>();
  /** Digests by their first digits, of blobs that are stored. */
  readonly #digests = new Map<string, string>();
  /** How many were told to wait in the second that began then. */
  #told = { since: 0, times: 0 };
  /** Pairs that were passed over for a liker old blob. */
  readonly #passedOver = new Set<string>();

  constructor(options: DeltasOptions) {
    this.#options = options;
    this.#queue = new BuildQueue(MOST_WAITING, (error) =>
      options.log.warn({ error }, 'cannot build a delta'),
    );
  }

  /** The best way to this blob for who holds those old ones, given by the first digits of their digests. */
  async offer(next: string, candidates: readonly string[]): Promise<DeltaOffer> {
    const olds: string[] = [];
    for (const digits of candidates) {
      const digest = await this.#digestOf(digits);
      if (digest && digest !== next) olds.push(digest);
    }
    return this.offerFrom(next, olds);
  }

  async offerFrom(next: string, olds: readonly string[]): Promise<DeltaOffer> {
    const bytes = await this.#options.objects.sizeOf(blobObject(next));
    if (bytes === undefined || bytes < LEAST_OFFERED_BYTES) return { v: 1, state: 'none' };
    const delta = olds.length > 0 ? await this.#best(next, olds) : undefined;
    const offer = delta ?? (await this.#packed(next, bytes));
    if (typeof offer === 'object') {
      await this.#options.cache.touch(offer);
      if (offer.level < BEST_LEVEL) this.#improve(offer);
      const { sha256, old } = offer;
      return { v: 1, state: 'ready', delta: sha256, bytes: offer.bytes, ...(old && { old }) };
    }
    return offer === 'building'
      ? { v: 1, state: 'building', retryAfterMs: this.#retryAfterMs() }
      : { v: 1, state: 'none' };
  }

  pathOf(object: string): string {
    return this.#options.cache.pathOf(object);
  }

  /** What is known of a pair; undefined when it was never built, or fell out. */
  known(next: string, old: string | undefined): DeltaRecord | undefined {
    return this.#options.cache.get(next, old);
  }

  close(): Promise<void> {
    return this.#queue.close();
  }

  async #digestOf(digits: string): Promise<string | undefined> {
    const known = this.#digests.get(digits);
    if (known !== undefined) return known;
    const name = await this.#options.objects.named(`blob-${digits}`);
    if (name === undefined) return undefined;
    if (this.#digests.size >= MOST_NAMES) this.#digests.clear();
    const digest = name.slice('blob-'.length);
    this.#digests.set(digits, digest);
    return digest;
  }

  /** The longer, the more wait: a fleet that waits for one delta must not keep the server from everything else. */
  #retryAfterMs(): number {
    const now = this.#options.now();
    if (now - this.#told.since >= 1_000) this.#told = { since: now, times: 0 };
    const { least, most, perAsker } = RETRY_AFTER_MS;
    return Math.min(most, Math.max(least, ++this.#told.times * perAsker));
  }

  async #best(next: string, olds: readonly string[]): Promise<DeltaRecord | 'building' | undefined> {
    const known = olds.map((old) => this.#options.cache.get(next, old)).filter((record) => record?.hasFile);
    const [smallest] = known.sort((a, b) => (a?.bytes ?? 0) - (b?.bytes ?? 0));
    if (smallest) return smallest;
    const unknown = olds.filter(
      (old) => !this.#options.cache.get(next, old) && !this.#passedOver.has(`${next}-${old}`),
    );
    return unknown.length > 0 && this.#want(next, unknown) ? 'building' : undefined;
  }

  async #packed(next: string, bytes: number): Promise<DeltaRecord | 'building' | 'none'> {
    const packed = this.#options.cache.get(next, undefined);
    if (packed) return packed.hasFile && packed.bytes <= bytes * PACKED_WORTH ? packed : 'none';
    return this.#want(next, []) ? 'building' : 'none';
  }

  /** False when it is of no use to wait. */
  #want(next: string, olds: readonly string[]): boolean {
    const key = [next, ...olds].join('-');
    if (this.#hasFailed(key)) return false;
    return this.#queue.want({
      key,
      run: (signal) =>
        this.#build(next, olds, FIRST_LEVEL, signal).catch((error: unknown) => {
          this.#failedAt.set(key, this.#options.now());
          throw error;
        }),
    });
  }

  async #build(next: string, olds: readonly string[], level: number, signal: AbortSignal): Promise<void> {
    const { cache, builder, objects, log } = this.#options;
    const outPath = cache.buildPath(randomUUID());
    const blob = (digest: string) => ({ digest, path: objects.pathOf(blobObject(digest)) });
    try {
      const isSpare = level === BEST_LEVEL;
      const job = { next: blob(next), olds: olds.map(blob), level, outPath, isSpare };
      const built = await builder.build(job, signal);
      const { old, sha256, bytes, plainBytes } = built;
      const before = cache.get(next, old);
      if (before && before.bytes <= bytes) return await cache.settle(before, level);
      const hasFile = old === undefined ? !built.isVain : isWorthIt(bytes, plainBytes);
      await cache.put(
        { v: DELTA_VERSION, next, ...(old && { old }), level, sha256, bytes, plainBytes, hasFile },
        outPath,
      );
      log.info({ next, old, level, bytes, plainBytes }, 'built a delta');
      for (const other of olds) if (other !== old) this.#passedOver.add(`${next}-${other}`);
    } finally {
      await rm(outPath, { force: true });
    }
  }

  #improve({ next, old }: DeltaRecord): void {
    const key = `better-${next}-${old ?? 'none'}`;
    if (this.#hasFailed(key)) return;
    this.#queue.spare({
      key,
      run: (signal) =>
        this.#build(next, old === undefined ? [] : [old], BEST_LEVEL, signal).catch((error: unknown) => {
          if (!signal.aborted) this.#failedAt.set(key, this.#options.now());
          throw error;
        }),
    });
  }

  #hasFailed(key: string): boolean {
    const failedAt = this.#failedAt.get(key);
    if (failedAt === undefined) return false;
    if (this.#options.now() - failedAt < FAILED_MS) return true;
    this.#failedAt.delete(key);
    return false;
  }
}
