import {
  base,
  branchOffset,
  destination,
  hasLowOffset,
  INSTRUCTION_BYTES,
  isBranch,
  isPage,
  lowOffset,
  pageOffset,
  withBranchOffset,
  withLowOffset,
  withPageOffset,
} from './arm64.ts';
import type { Run } from './runs.ts';
import { ShiftMemory } from './shift-memory.ts';
import { type BlockRange, DELTA_BLOCK_BYTES } from './table.ts';
import { isX86Distance, isX86Reference, X86_LEAD_BYTES } from './x86-64.ts';

/** How a block of the segment is laid along old content: what is taken for a reference, and adjusted. */
export const FORMS = ['bytes', 'x86-64', 'arm64', 'words'] as const;
export const FORM_BLOCK_BYTES = DELTA_BLOCK_BYTES;
const [X86, ARM64, WORDS] = [1, 2, 3];

const BLOCK_BITS = Math.log2(DELTA_BLOCK_BYTES);
const PAGE_BITS = 12;
/** ADRP's other half stands close behind. */
const LOOK_AHEAD = 8 * INSTRUCTION_BYTES;
/** Words between these are taken for addresses, offsets or distances; smaller ones are counts. */
const LEAST_WORD = 0x400;
const MOST_WORD = 0x1000_0000;

export interface Sides {
  next: Buffer;
  /** Old content, joined from these ranges of the old blob. */
  old: Buffer;
  ranges: readonly BlockRange[];
  /** Place in FORMS of each block of `next`. */
  forms: Uint8Array;
  /** What remains of `next` along its runs, joined. */
  residue: Buffer;
}

/**
 * Runs of new content as old content and a residue. Code and tables that only moved hold other addresses: each is
 * expected to lead where the references before it say that its target went. Residue and content are each made from the
 * other, byte for byte from the left: what is looked at is known on both sides by then.
 */
export class Relocation {
  readonly #sides: Sides;
  readonly #isAdding: boolean;
  /** Old block of the blob, by the block of the window. */
  readonly #blocks: Int32Array;
  readonly #distances = new ShiftMemory();
  readonly #words = new ShiftMemory();
  /** What ADRP put into each register: old and new page; -1 = not known. */
  readonly #oldPages = new Float64Array(32).fill(-1);
  readonly #newPages = new Int32Array(32);
  /** A place in the residue less its place in `next`. */
  #residueShift = 0;

  private constructor(sides: Sides, isAdding: boolean) {
    this.#sides = sides;
    this.#isAdding = isAdding;
    const blocks = sides.ranges.flatMap(({ first, blocks }) =>
      Array.from({ length: blocks }, (_, place) => first + place),
    );
    this.#blocks = Int32Array.from(blocks);
  }

  /** Fills the residue from the content. */
  static subtract(sides: Sides, runs: Iterable<Run>): void {
    new Relocation(sides, false).#along(runs);
  }

  /** Fills the content along the runs from the residue. What lies between them has to stand there already. */
  static add(sides: Sides, runs: Iterable<Run>): void {
    new Relocation(sides, true).#along(runs);
  }

  #along(runs: Iterable<Run>): void {
    let taken = 0;
    for (const { at, length, from } of runs) {
      this.#residueShift = taken - at;
      const end = at + length;
      for (let place = at; place < end; ) {
        const adjusted = end - place >= 4 && this.#reference(place, from + place - at);
        if (!adjusted) this.#byte(place, from + place - at);
        place += adjusted ? 4 : 1;
      }
      taken += length;
    }
    this.#distances.release();
    this.#words.release();
  }

  #reference(at: number, from: number): boolean {
    switch (this.#sides.forms[at >> BLOCK_BITS]) {
      case X86:
        return this.#x86(at, from);
      case ARM64:
        return ((at | from) & 3) === 0 && this.#arm64(at, from);
      case WORDS:
        return ((at | from) & 3) === 0 && this.#word(at, from);
      default:
        return false;
    }
  }

  #x86(at: number, from: number): boolean {
    const { next, old } = this.#sides;
    if (at < X86_LEAD_BYTES || from < X86_LEAD_BYTES) return false;
    if (!isX86Reference(next, at) || !isX86Reference(old, from)) return false;
    const distance = old.readInt32LE(from);
    if (!isX86Distance(distance)) return false;
    // A distance counts from the end of the instruction, which is taken to end here.
    const oldEnd = this.#oldPlace(from) + 4;
    const target = (oldEnd + distance) | 0;
    const shift = this.#distances.predict(target, at + 4 - oldEnd);
    const actual = this.#exchange(at, (target + shift - at - 4) | 0);
    this.#distances.learn(target, (at + 4 + actual - target) | 0);
    return true;
  }

  #arm64(at: number, from: number): boolean {
    const word = this.#sides.old.readInt32LE(from);
    if (isBranch(word)) this.#branch(at, from, word);
    else if (isPage(word)) this.#page(at, from, word);
    else if (hasLowOffset(word) && this.#oldPages[base(word)] !== -1) this.#low(at, word);
    else return false;
    return true;
  }

  #branch(at: number, from: number, word: number): void {
    const oldAt = this.#oldPlace(from);
    const target = (oldAt + branchOffset(word)) | 0;
    const shift = this.#distances.predict(target, at - oldAt);
    const actual = this.#exchange(at, withBranchOffset(word, (target + shift - at) | 0));
    if (isBranch(actual)) this.#distances.learn(target, (at + branchOffset(actual) - target) | 0);
  }

  #page(at: number, from: number, word: number): void {
    const oldPage = ((this.#oldPlace(from) >> PAGE_BITS) + pageOffset(word)) << PAGE_BITS;
    const target = (oldPage + this.#lowAfter(from, destination(word))) | 0;
    const shift = this.#distances.predict(target, at - this.#oldPlace(from));
    const pages = ((target + shift) >> PAGE_BITS) - (at >> PAGE_BITS);
    const actual = this.#exchange(at, withPageOffset(word, pages));
    const register = destination(actual);
    this.#oldPages[register] = isPage(actual) ? oldPage >>> 0 : -1;
    this.#newPages[register] = ((at >> PAGE_BITS) + pageOffset(actual)) << PAGE_BITS;
  }

  /** The offset that the old code adds to the page in a register, 0 when none is seen. */
  #lowAfter(from: number, register: number): number {
    const { old } = this.#sides;
    const end = Math.min(old.length - INSTRUCTION_BYTES, from + LOOK_AHEAD);
    for (let place = from + INSTRUCTION_BYTES; place <= end; place += INSTRUCTION_BYTES) {
      const word = old.readInt32LE(place);
      if (hasLowOffset(word) && base(word) === register) return lowOffset(word);
    }
    return 0;
  }

  #low(at: number, word: number): void {
    const register = base(word);
    const [oldPage, newPage] = [(this.#oldPages[register] as number) | 0, this.#newPages[register] as number];
    const target = (oldPage + lowOffset(word)) | 0;
    const shift = this.#distances.predict(target, newPage - oldPage);
    const actual = this.#exchange(at, withLowOffset(word, (target + shift - newPage) | 0));
    if (!hasLowOffset(actual)) return;
    this.#distances.learn(target, (newPage + lowOffset(actual) - target) | 0);
    if (destination(actual) === register) this.#oldPages[register] = -1;
  }

  /** A word of a table: an address, an offset, or a distance that changes little from one to the next. */
  #word(at: number, from: number): boolean {
    const { old } = this.#sides;
    const word = old.readInt32LE(from);
    const size = Math.abs(word);
    if (size < LEAST_WORD || size >= MOST_WORD) return false;
    const key = (word + (this.#column(at, from) << 28)) | 0;
    const shift = this.#words.predict(key, 0);
    const actual = this.#exchange(at, (word + shift) | 0);
    this.#words.learn(key, (actual - word) | 0);
    return true;
  }

  /** Words of different columns of a table mean different things: high half, low half, or all of eight bytes. */
  #column(at: number, from: number): number {
    const { old } = this.#sides;
    if ((at & 4) !== 0) return 1;
    const isWhole = from + 8 <= old.length && old.readInt32LE(from + 4) === 0;
    return isWhole ? 2 : 4;
  }

  #oldPlace(from: number): number {
    return (
      ((this.#blocks[from >> BLOCK_BITS] as number) * DELTA_BLOCK_BYTES + (from % DELTA_BLOCK_BYTES)) | 0
    );
  }

  /** The word that stands at `at`, of which the residue holds what was not expected. */
  #exchange(at: number, expected: number): number {
    const { next, residue } = this.#sides;
    const place = at + this.#residueShift;
    const actual = this.#isAdding ? (residue.readInt32LE(place) + expected) | 0 : next.readInt32LE(at);
    if (this.#isAdding) next.writeInt32LE(actual, at);
    else residue.writeInt32LE((actual - expected) | 0, place);
    return actual;
  }

  #byte(at: number, from: number): void {
    const { next, old, residue } = this.#sides;
    const place = at + this.#residueShift;
    const was = old[from] as number;
    if (this.#isAdding) next[at] = (residue[place] as number) + was;
    else residue[place] = (next[at] as number) - was;
  }
}
