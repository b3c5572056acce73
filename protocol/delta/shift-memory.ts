const SLOT_BITS = 16;
const SLOTS = 2 ** SLOT_BITS;
/** A target that was not met yet has likely moved as its nearest neighbours: so many low bits are let go, one after another. */
const NEARNESS = [0, 6, 9, 12, 16];

/**
 * How far what references lead to has moved, learnt from the references before: both sides know those, so nothing of it
 * travels. Numbers are taken modulo 2^32.
 */
export class ShiftMemory {
  readonly #keys = new Int32Array(SLOTS);
  readonly #shifts = new Int32Array(SLOTS);

  /** New place less old place of `target`. */
  predict(target: number, otherwise: number): number {
    for (const bits of NEARNESS) {
      const key = keyOf(target, bits);
      const slot = slotOf(key);
      if (this.#keys[slot] === key) return this.#shifts[slot] as number;
    }
    return otherwise;
  }

  learn(target: number, shift: number): void {
    for (const bits of NEARNESS) {
      const key = keyOf(target, bits);
      const slot = slotOf(key);
      this.#keys[slot] = key;
      this.#shifts[slot] = shift;
    }
  }

  /** Gives the memory back at once; see discard of segment.ts. */
  release(): void {
    this.#keys.buffer.transfer(0);
    this.#shifts.buffer.transfer(0);
  }
}

/** Never 0, which is a free slot's. */
const keyOf = (target: number, bits: number): number => (Math.imul(target >> bits, 32) + bits + 1) | 0 || 1;
const slotOf = (key: number): number => Math.imul(key, 0x9e3779b1) >>> (32 - SLOT_BITS);
