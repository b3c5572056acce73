import type { ChunkSource } from '../ports.ts';
import { aborted, SourceError } from './source-error.ts';

export interface SourceLink {
  /** For messages: "mqtt", "https", the address of a mirror. */
  name: string;
  source: ChunkSource;
  /** Gives content only: what is signed with a time comes from the fleet server itself. */
  isMirror?: boolean;
}

/** A source that could not be reached is passed over for this long. */
const REST_MS = 60_000;
/** A source that gave what was not signed is passed over for this long. */
const BLAMED_MS = 3_600_000;

/**
 * Several sources of the same objects, the first that works first. A download half done over one goes on over the
 * next: what counts is which chunks are there, not where they came from.
 */
export class SourceChain implements ChunkSource {
  readonly #links: readonly SourceLink[];
  /** In ms, never going back. */
  readonly #now: () => number;
  readonly #restingUntil = new Map<SourceLink, number>();
  #lastUsed: SourceLink | undefined;

  constructor(links: readonly SourceLink[], now: () => number) {
    this.#links = links;
    this.#now = now;
  }

  read(object: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    return this.#first(object, signal, (source) => source.read(object, maxBytes, signal));
  }

  async fetch(
    object: string,
    chunks: readonly number[],
    onChunk: (index: number, payload: Buffer) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const missing = new Set(chunks);
    const take = async (index: number, payload: Buffer): Promise<void> => {
      await onChunk(index, payload);
      missing.delete(index);
    };
    await this.#first(object, signal, async (source) => {
      if (missing.size > 0) await source.fetch(object, [...missing], take, signal);
    });
  }

  /** What came last was not what was signed: true when another source is left to ask. */
  blame(): boolean {
    const last = this.#lastUsed;
    if (last?.isMirror !== true) return false;
    this.#restingUntil.set(last, this.#now() + BLAMED_MS);
    return true;
  }

  async #first<T>(object: string, signal: AbortSignal, ask: (source: ChunkSource) => Promise<T>): Promise<T> {
    const failures: SourceError[] = [];
    for (const link of this.#candidates(object)) {
      if (signal.aborted) throw aborted(object);
      this.#lastUsed = link;
      try {
        return await ask(link.source);
      } catch (error) {
        if (!(error instanceof SourceError) || error.code === 'aborted') throw error;
        failures.push(error);
        if (error.code === 'unreachable') this.#restingUntil.set(link, this.#now() + REST_MS);
      }
    }
    throw whole(object, failures);
  }

  /** Those that rest are asked last, not never: there may be no other. */
  #candidates(object: string): SourceLink[] {
    const able = this.#links.filter(({ isMirror }) => isMirror !== true || isContent(object));
    const rests = (link: SourceLink): boolean => (this.#restingUntil.get(link) ?? 0) > this.#now();
    return [...able.filter((link) => !rests(link)), ...able.filter((link) => rests(link) && !link.isMirror)];
  }
}

/** Named by its digest: whoever gives it cannot change it unseen, nor keep back a newer one. */
const isContent = (object: string): boolean => /^[a-z]+-[0-9a-f]{64}/.test(object);

/** One failure stands for itself; of several the code of the last counts, and all are told. */
function whole(object: string, failures: readonly SourceError[]): SourceError {
  const last = failures.at(-1);
  if (failures.length === 1 && last) return last;
  const said = failures.map(({ message }) => message).join('; ');
  return new SourceError(
    last?.code ?? 'unreachable',
    said === '' ? `Cannot fetch ${object}: no source is set up for it` : said,
  );
}
