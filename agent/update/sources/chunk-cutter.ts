import { LIMITS } from '../../../protocol/limits.ts';

/** Cuts a run of bytes, as it comes, into the chunks that it is made of. */
export class ChunkCutter {
  readonly #onChunk: (index: number, payload: Buffer) => Promise<void>;
  #index: number;
  /** Bytes of the run that have not come yet. */
  #wanted: number;
  #chunk: Buffer;
  #filled = 0;

  /** `wanted` bytes that begin with chunk `first`. */
  constructor(first: number, wanted: number, onChunk: (index: number, payload: Buffer) => Promise<void>) {
    this.#index = first;
    this.#wanted = wanted;
    this.#onChunk = onChunk;
    this.#chunk = this.#fresh();
  }

  get isDone(): boolean {
    return this.#wanted === 0;
  }

  /** What is past the run is not taken. Resolves when each chunk that is whole now has been. */
  async take(part: Buffer): Promise<void> {
    for (let at = 0; at < part.length && this.#wanted > 0; ) {
      const copied = part.copy(this.#chunk, this.#filled, at);
      at += copied;
      this.#filled += copied;
      this.#wanted -= copied;
      if (this.#filled < this.#chunk.length) continue;
      const whole = this.#chunk;
      this.#filled = 0;
      this.#chunk = this.#fresh();
      await this.#onChunk(this.#index++, whole);
    }
  }

  #fresh(): Buffer {
    return Buffer.allocUnsafe(Math.min(LIMITS.chunkBytes, this.#wanted));
  }
}
