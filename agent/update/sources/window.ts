import { LIMITS } from '../../../protocol/limits.ts';

/** How many bytes may be asked for and not yet taken: additive increase for each full window, halved on loss. */
export class Window {
  readonly #stepBytes: number;
  #bytes: number = LIMITS.minWindowBytes;
  #taken = 0;

  constructor(stepBytes: number) {
    this.#stepBytes = stepBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  took(bytes: number): void {
    this.#taken += bytes;
    if (this.#taken < this.#bytes) return;
    this.#taken = 0;
    this.#bytes = Math.min(LIMITS.maxWindowBytes, this.#bytes + this.#stepBytes);
  }

  lost(): void {
    this.#taken = 0;
    this.#bytes = Math.max(LIMITS.minWindowBytes, this.#bytes / 2);
  }
}
