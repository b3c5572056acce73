import type { Run } from './runs.ts';

const TABLE_BITS = 22;
/** Shorter equal stretches are found by chance. */
const KEY_BYTES = 8;
/** A stretch is looked at no further than this at once: what follows is looked at in its turn. */
const MOST_LOOK = 4096;
/** Long enough not to look for a longer one elsewhere. */
const GOOD_LOOK = 32;
/** So many bytes better than the present run a stretch must be to begin another: a run costs about as much. */
const BETTER = 16;

/**
 * Lays new content along old, byte for byte, also where bytes in between differ: code that was compiled anew is the code
 * from before with other addresses in it, and their differences repeat. After bsdiff (Colin Percival, 2003), with a hash
 * table for its suffix array.
 */
export class Aligner {
  readonly #places = new Int32Array(2 ** TABLE_BITS);
  #old: Buffer = Buffer.alloc(0);
  #next: Buffer = Buffer.alloc(0);
  /** Where old content equal to what stands at the place looked at begins, and how long it is. */
  #from = 0;
  #length = 0;

  /** Runs of `next` along `old`, ascending, without overlap. */
  align(old: Buffer, next: Buffer): Run[] {
    this.#old = old;
    this.#next = next;
    this.#places.fill(0);
    for (let at = 0; at + KEY_BYTES <= old.length; at++) this.#places[slotOf(old, at)] = at + 1;
    const runs: Run[] = [];
    let present: Run = { at: 0, length: 0, from: 0 };
    for (let scan = 0; scan < next.length; ) {
      const shift = present.from - present.at;
      scan = this.#nextStretch(scan, shift);
      const following = this.#before(present.at, scan);
      const length = this.#forward(present, scan);
      const overlap = present.at + length - following.at;
      const cut = overlap > 0 ? this.#split({ ...present, length }, following, overlap) : undefined;
      present.length = cut === undefined ? length : length - overlap + cut;
      if (present.length > 0) runs.push(present);
      const given = cut ?? 0;
      present = { at: following.at + given, length: 0, from: following.from + given };
      scan += this.#length;
    }
    present.length = this.#forward(present, next.length);
    if (present.length > 0) runs.push(present);
    return runs;
  }

  /** Where the first stretch from `scan` on begins that the present run does not hold as well; the end when none does. */
  #nextStretch(scan: number, shift: number): number {
    let counted = scan;
    let score = 0;
    let at = scan;
    for (; at < this.#next.length; at++) {
      this.#look(at, shift);
      for (; counted < at + this.#length; counted++) score += this.#isEqual(counted, shift);
      const isAsGood = this.#length === score && this.#length > 0;
      if (isAsGood && this.#from === at + shift) {
        // It goes on as it was.
        at += this.#length - 1;
        score = 0;
        counted = at + 1;
        continue;
      }
      if (this.#length > score + BETTER) return at;
      score -= this.#isEqual(at, shift);
    }
    this.#length = 0;
    return at;
  }

  #look(at: number, shift: number): void {
    this.#from = at + shift;
    this.#length = this.#stretch(at, at + shift);
    if (this.#length >= GOOD_LOOK || at + KEY_BYTES > this.#next.length) return;
    const place = (this.#places[slotOf(this.#next, at)] as number) - 1;
    if (place < 0) return;
    const length = this.#stretch(at, place);
    if (length < KEY_BYTES || length <= this.#length) return;
    this.#from = place;
    this.#length = length;
  }

  #stretch(at: number, from: number): number {
    if (from < 0) return 0;
    const most = Math.min(MOST_LOOK, this.#next.length - at, this.#old.length - from);
    let length = 0;
    while (length < most && this.#next[at + length] === this.#old[from + length]) length++;
    return length;
  }

  #isEqual(at: number, shift: number): number {
    return this.#next[at] === this.#old[at + shift] ? 1 : 0;
  }

  /** How far the present run goes on, up to `end`, while at least half of what it takes in is equal. */
  #forward({ at, from }: Run, end: number): number {
    const most = Math.min(end - at, this.#old.length - from);
    let score = 0;
    let best = 0;
    let length = 0;
    for (let i = 0; i < most; i++) {
      score += this.#next[at + i] === this.#old[from + i] ? 1 : -1;
      if (score <= best) continue;
      best = score;
      length = i + 1;
    }
    return length;
  }

  /** Where the run of the stretch found at `scan` begins, not before `least`. */
  #before(least: number, scan: number): Run {
    const most = scan < this.#next.length ? Math.min(scan - least, this.#from) : 0;
    let score = 0;
    let best = 0;
    let length = 0;
    for (let i = 1; i <= most; i++) {
      score += this.#next[scan - i] === this.#old[this.#from - i] ? 1 : -1;
      if (score <= best) continue;
      best = score;
      length = i;
    }
    return { at: scan - length, from: this.#from - length, length: 0 };
  }

  /** How much of what both runs claim the first is to have. */
  #split(first: Run, second: Run, overlap: number): number {
    const firstFrom = first.from + first.length - overlap;
    let score = 0;
    let best = 0;
    let cut = 0;
    for (let i = 0; i < overlap; i++) {
      const byte = this.#next[second.at + i];
      if (byte === this.#old[firstFrom + i]) score++;
      if (byte === this.#old[second.from + i]) score--;
      if (score <= best) continue;
      best = score;
      cut = i + 1;
    }
    return cut;
  }
}

function slotOf(data: Buffer, at: number): number {
  const [low, high] = [data.readInt32LE(at), data.readInt32LE(at + 4)];
  let key = Math.imul(low, 0x9e3779b1) ^ Math.imul(high, 0x85ebca6b);
  key = Math.imul(key ^ (key >>> 15), 0x2c1b3c6d);
  return key >>> (32 - TABLE_BITS);
}
