import { BLOCK_BYTES, SLOT_BYTES } from './format.ts';

/** Blocks with less room than this take nothing more; looking at few of them keeps packing linear. */
const MAX_OPEN = 64;

/** Gives nodes their place among the metadata: each in one block where it fits, in the block it fills best. */
export class Packing {
  /** Where the last block ends. */
  end: number;
  readonly #open: { at: number; room: number }[] = [];
  constructor(startsAt: number) {
    this.end = BLOCK_BYTES * Math.ceil(startsAt / BLOCK_BYTES);
    this.#keep(startsAt, this.end - startsAt);
  }

  /** The offset of `bytes` bytes. What is larger than a block gets blocks of its own. */
  place(bytes: number): number {
    const taken = SLOT_BYTES * Math.ceil(bytes / SLOT_BYTES);
    const [best] = this.#open
      .filter(({ room }) => room >= taken)
      .sort((a, b) => a.room - b.room || a.at - b.at);
    if (best) {
      const at = best.at;
      best.at += taken;
      best.room -= taken;
      if (best.room === 0) this.#open.splice(this.#open.indexOf(best), 1);
      return at;
    }
    const at = this.end;
    this.end += BLOCK_BYTES * Math.ceil(taken / BLOCK_BYTES);
    this.#keep(at + taken, this.end - at - taken);
    return at;
  }

  #keep(at: number, room: number): void {
    if (room > 0) this.#open.push({ at, room });
    if (this.#open.length <= MAX_OPEN) return;
    const least = this.#open.reduce((a, b) => (b.room < a.room ? b : a));
    this.#open.splice(this.#open.indexOf(least), 1);
  }
}
