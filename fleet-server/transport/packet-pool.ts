/** Buffers that lie ready at most. */
const MOST_FREE = 16;

/**
 * Memory for what is on its way to devices. Node collects what lies outside its heap late and at the price of a
 * collection of all that lies inside: with new memory for each chunk that was a third of what a transfer costs.
 */
export class PacketPool {
  readonly #bytes: number;
  readonly #free: Buffer[] = [];

  /** `bytes` of each. */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
  }

  /** Neither its taker nor the kernel has a use for it any more. */
  giveBack(buffer: Buffer): void {
    if (this.#free.length < MOST_FREE) this.#free.push(buffer);
  }
}
