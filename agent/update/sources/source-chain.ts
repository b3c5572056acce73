import { TIMESTAMP_OBJECT } from '../../../protocol/objects.ts';
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
  readonly #wantsNewest: boolean;
  /** In ms, never going back. */
  readonly #now: () => number;
  readonly #restingUntil = new Map<SourceLink, number>();
  #lastUsed: SourceLink | undefined;

  /** `wantsNewest`: of several timestamps the newest counts, because some of the sources may be old. */
  constructor(links: readonly SourceLink[], now: () => number, wantsNewest = false) {
    this.#links = links;
    this.#now = now;
    this.#wantsNewest = wantsNewest;
  }

  /** The same sources after others that may be old, such as what somebody brought on a stick. */
  after(links: readonly SourceLink[]): SourceChain {
    return new SourceChain([...links, ...this.#links], this.#now, true);
  }

  async read(object: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    if (this.#wantsNewest && object === TIMESTAMP_OBJECT) return this.#newest(maxBytes, signal);
    return this.#first(object, signal, (source) => source.read(object, maxBytes, signal));
  }

  async fetch(
    object: string,
    chunks: readonly number[],
    onChunk: (index: number, payload: Buffer) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const missing = new Set(chunks);
    const taking = new Set<Promise<void>>();
    const take = (index: number, payload: Buffer): Promise<void> => {
      const taken = onChunk(index, payload).then(() => void missing.delete(index));
      taking.add(taken);
      const forget = () => void taking.delete(taken);
      taken.then(forget, forget);
      return taken;
    };
    await this.#first(object, signal, async (source) => {
      // A source that failed may have left chunks in the taker's hands: those are not asked for again.
      await Promise.all(taking);
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

  async #newest(maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    const failures: SourceError[] = [];
    let newest: Buffer | undefined;
    for (const { source } of this.#candidates(TIMESTAMP_OBJECT)) {
      if (signal.aborted) throw aborted(TIMESTAMP_OBJECT);
      try {
        const found = await source.read(TIMESTAMP_OBJECT, maxBytes, signal);
        if (newest === undefined || claimedVersion(found) > claimedVersion(newest)) newest = found;
      } catch (error) {
        if (!(error instanceof SourceError) || error.code === 'aborted') throw error;
        failures.push(error);
      }
    }
    if (newest === undefined) throw whole(TIMESTAMP_OBJECT, failures);
    return newest;
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

/** What a timestamp says of itself; whether that is true is checked by whoever uses it. */
function claimedVersion(text: Buffer): number {
  try {
    const { signed } = JSON.parse(text.toString('utf8')) as { signed?: { version?: unknown } };
    return typeof signed?.version === 'number' ? signed.version : 0;
  } catch {
    return 0;
  }
}

/** Named by its digest: whoever gives it cannot change it unseen, nor keep back a newer one. */
const isContent = (object: string): boolean => /^[a-z]+-[0-9a-f]{64}/.test(object);

/**
 * One failure stands for itself. Of several all are told. That one source has it in the wrong size counts most: it is a
 * judgement of what was to be had. That one does not have it counts for more than that another cannot be asked: a device
 * without a network has what it has.
 */
function whole(object: string, failures: readonly SourceError[]): SourceError {
  const told = (wanted: SourceError['code']) => failures.find(({ code }) => code === wanted);
  const telling = told('too-large') ?? told('unknown-object') ?? failures.at(-1);
  if (failures.length === 1 && telling) return telling;
  const said = failures.map(({ message }) => message).join('; ');
  return new SourceError(
    telling?.code ?? 'unreachable',
    said === '' ? `Cannot fetch ${object}: no source is set up for it` : said,
  );
}
