import { type ChunkFrame, encodeBitmap } from '../../../protocol/chunk-frame.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import type { Fault, Get } from '../../../protocol/messages.ts';
import { SilentError, SourceError } from './source-error.ts';
import { Window } from './window.ts';

export interface PullTimes {
  /** Without a chunk for this long, what is missing is asked for again; later on a link that proves to be slower. */
  answerMs: number;
  /** Silence as long as so many of these waits ends the pull. */
  silences: number;
}

export interface PullOptions extends PullTimes {
  object: string;
  chunks: readonly number[];
  chunkBytes: number;
  send(get: Get): void;
  nextRequest(): number;
  onChunk(frame: ChunkFrame): Promise<void>;
}

/** Chunks asked for may spread over this many places of the list, so that half-filled pieces stay few. */
const SPREAD = (2 * LIMITS.maxWindowBytes) / LIMITS.chunkBytes;

/** On a slow link chunks come this far apart at most. */
const MOST_WAIT_MS = 60_000;

/**
 * One object being pulled. Keeps a window of chunks asked for; asks for holes again; ignores whatever it has not
 * asked for. `done` settles once.
 */
export class Pull {
  readonly done: Promise<void>;
  readonly #options: PullOptions;
  readonly #window: Window;
  /** Chunk → its place in the list; a chunk leaves when it was taken. */
  readonly #open: Map<number, number>;
  readonly #asked = new Set<number>();
  readonly #requests = new Set<number>();
  /** Bytes that arrived and `onChunk` has not yet taken. */
  #busyChunks = 0;
  #next = 0;
  /** Milliseconds until the next silence: doubled by each, and learnt from what comes unasked-again (RFC 6298 §5). */
  #waitMs: number;
  #heardAt = performance.now();
  #isAskedAgain = false;
  /** Chunks that may come twice, because they were asked for twice. */
  #late = 0;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #resolve!: () => void;
  #reject!: (error: unknown) => void;

  constructor(options: PullOptions) {
    this.#options = options;
    this.#window = new Window(options.chunkBytes);
    this.#waitMs = options.answerMs;
    this.#open = new Map(options.chunks.map((chunk, place) => [chunk, place]));
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#ask();
  }

  onFrame(frame: ChunkFrame): void {
    const { chunkBytes, onChunk } = this.#options;
    // Duplicates, late answers and frames of other requests are none of these.
    if (this.#isOver || !this.#requests.has(frame.request) || frame.chunkBytes !== chunkBytes) return;
    if (!this.#asked.delete(frame.index)) return this.#heardLate();
    this.#heard();
    this.#busyChunks++;
    onChunk(frame)
      .then(() => this.#taken(frame))
      .catch((error: unknown) => this.fail(error));
  }

  onFault(fault: Fault): void {
    if (this.#isOver || !this.#requests.has(fault.request)) return;
    if (fault.code === 'busy' || fault.retryAfterMs > 0) {
      this.#window.lost();
      this.#heardAt = performance.now();
      this.#askAgainIn(Math.max(fault.retryAfterMs, 50));
      return;
    }
    const code = fault.code === 'unknown-object' ? 'unknown-object' : 'rejected';
    this.fail(
      new SourceError(code, `Cannot fetch ${this.#options.object}: the server says ${fault.message}`),
    );
  }

  fail(error: unknown): void {
    this.#end();
    this.#reject(error);
  }

  #taken({ index, payload }: ChunkFrame): void {
    this.#busyChunks--;
    this.#open.delete(index);
    this.#window.took(payload.length);
    // What the taker held up is no silence of the source.
    if (this.#asked.size === 0) this.#heardAt = performance.now();
    this.#ask();
  }

  /** A second answer to what was asked twice: the link is slow, not silent. */
  #heardLate(): void {
    if (this.#late === 0) return;
    this.#late--;
    this.#heardAt = performance.now();
    this.#askAgainIn(this.#waitMs);
  }

  #heard(): void {
    const now = performance.now();
    // After asking twice nobody knows which of the two was answered: that says nothing of the link.
    if (!this.#isAskedAgain) {
      const slowest = Math.max(this.#options.answerMs, 3 * (now - this.#heardAt), this.#waitMs / 2);
      this.#waitMs = Math.min(MOST_WAIT_MS, slowest);
    }
    this.#isAskedAgain = false;
    this.#heardAt = now;
  }

  #ask(): void {
    if (this.#isOver) return;
    if (this.#open.size === 0) {
      this.#end();
      this.#resolve();
      return;
    }
    const room =
      Math.floor(this.#window.bytes / this.#options.chunkBytes) - this.#asked.size - this.#busyChunks;
    // Half a window at a time: one get asks for several chunks.
    const isIdle = this.#asked.size === 0;
    if (room > 0 && (isIdle || room * this.#options.chunkBytes * 2 >= this.#window.bytes)) this.#askFor(room);
    this.#askAgainIn(this.#waitMs);
  }

  #askFor(room: number): void {
    const batch: number[] = [];
    const oldest = this.#open.values().next().value ?? 0;
    const { chunks } = this.#options;
    for (; batch.length < room && this.#next < Math.min(chunks.length, oldest + SPREAD); this.#next++) {
      const chunk = chunks[this.#next];
      if (chunk === undefined || !this.#open.has(chunk) || this.#asked.has(chunk)) continue;
      const first = Math.min(chunk, batch[0] ?? chunk);
      if (Math.max(chunk, batch.at(-1) ?? chunk) - first >= LIMITS.chunksPerGet) break;
      batch.push(chunk);
    }
    if (batch.length === 0) return;
    for (const chunk of batch) this.#asked.add(chunk);
    const { object, chunkBytes } = this.#options;
    const request = this.#options.nextRequest();
    this.#requests.add(request);
    this.#options.send({ v: 1, request, object, chunkBytes, ...encodeBitmap(batch) });
  }

  #askAgainIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#silence(), ms);
  }

  #silence(): void {
    // Chunks in the taker's hands are no silence of the source.
    if (this.#busyChunks > 0) return this.#askAgainIn(this.#waitMs);
    const { object, answerMs, silences } = this.#options;
    const silentMs = performance.now() - this.#heardAt;
    if (this.#isAskedAgain && silentMs >= answerMs * silences) {
      const waited = Math.round(silentMs);
      this.fail(new SilentError(`Cannot fetch ${object}: no answer for ${waited} ms`));
      return;
    }
    this.#window.lost();
    this.#waitMs = Math.min(MOST_WAIT_MS, this.#waitMs * 2);
    this.#isAskedAgain = true;
    this.#late += this.#asked.size;
    this.#asked.clear();
    this.#next = 0;
    this.#ask();
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }
}
