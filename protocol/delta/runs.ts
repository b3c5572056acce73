import { DeltaMalformed } from './delta-malformed.ts';
import { pushSigned, pushVarint, VarintReader } from './varint.ts';

/** New content from `at` on that lies along old content from `from` on. */
export interface Run {
  at: number;
  length: number;
  from: number;
}

/**
 * For each run three varints: bytes between it and the one before, its length less one, and its old place (zigzag,
 * relative to where the run before would have gone on).
 */
export function encodeRuns(runs: Iterable<Run>): Buffer {
  const out: number[] = [];
  let [end, shift] = [0, 0];
  for (const { at, length, from } of runs) {
    pushVarint(out, at - end);
    pushVarint(out, length - 1);
    pushSigned(out, from - at - shift);
    end = at + length;
    shift = from - at;
  }
  return Buffer.from(out);
}

/** Ascending, without overlap, inside both sides, read as they are asked for. Throws DeltaMalformed. */
export function* decodeRuns(encoded: Buffer, newBytes: number, oldBytes: number): Generator<Run> {
  const reader = new VarintReader(encoded);
  let [end, shift] = [0, 0];
  while (!reader.isDone) {
    const at = end + reader.varint();
    const length = reader.varint() + 1;
    shift += reader.signed();
    const from = at + shift;
    if (at + length > newBytes || from < 0 || from + length > oldBytes)
      throw new DeltaMalformed('a run leads outside');
    yield { at, length, from };
    end = at + length;
  }
}

export const runBytes = (runs: Iterable<Run>): number => {
  let sum = 0;
  for (const { length } of runs) sum += length;
  return sum;
};

/** What of `data` lies along no run, joined. */
export function literalsOf(data: Buffer, runs: Iterable<Run>): Buffer {
  const pieces: Buffer[] = [];
  let end = 0;
  for (const { at, length } of runs) {
    pieces.push(data.subarray(end, at));
    end = at + length;
  }
  return Buffer.concat([...pieces, data.subarray(end)]);
}

/** Puts them where they belong. */
export function placeLiterals(data: Buffer, literals: Buffer, runs: Iterable<Run>): void {
  let [end, taken] = [0, 0];
  for (const { at, length } of runs) {
    taken += literals.copy(data, end, taken, taken + at - end);
    end = at + length;
  }
  literals.copy(data, end, taken);
}
