import type { Readable } from 'node:stream';

type Stream = 'stdout' | 'stderr';
export interface OutputPiece {
  stream: Stream;
  data: Uint8Array;
}

/** More is not held in memory: whoever writes has to wait. */
const HELD_BYTES = 256 * 1024;

/** Output of two streams in the order in which it came, for one reader; nothing is given before `release`. */
export class OutputQueue implements AsyncIterable<OutputPiece> {
  readonly #sources: Readable[] = [];
  #pieces: OutputPiece[] = [];
  #bytes = 0;
  #isReleased = false;
  #hasEnded = false;
  #wake: () => void = () => undefined;

  take(stream: Stream, source: Readable): void {
    this.#sources.push(source);
    source.on('error', () => undefined);
    source.on('data', (data: Buffer) => this.#push({ stream, data }));
  }

  /** What was held back, and all that follows, may be read. */
  release(): void {
    this.#isReleased = true;
    this.#wake();
  }

  /** Puts words in the place of what was held back; nothing once something was released. */
  replaceHeld(stream: Stream, text: string): void {
    if (this.#isReleased) return;
    const data = Buffer.from(text);
    this.#pieces = [{ stream, data }];
    this.#bytes = data.length;
  }

  end(): void {
    this.#hasEnded = true;
    this.release();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<OutputPiece> {
    for (;;) {
      const piece = this.#isReleased ? this.#pieces.shift() : undefined;
      if (piece) {
        this.#bytes -= piece.data.length;
        if (this.#bytes < HELD_BYTES) for (const source of this.#sources) source.resume();
        yield piece;
      } else if (this.#hasEnded) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  #push(piece: OutputPiece): void {
    this.#pieces.push(piece);
    this.#bytes += piece.data.length;
    if (this.#bytes >= HELD_BYTES) {
      for (const source of this.#sources) source.pause();
      // So much does not come from a runtime that could not begin.
      this.#isReleased = true;
    }
    this.#wake();
  }
}
