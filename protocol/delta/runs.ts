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
export function encodeRuns(runs: readonly Run[]): Buffer {
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

/** `data` less the old content along its runs. */
export function subtractRuns(data: Buffer, old: Buffer, runs: readonly Run[]): Buffer {
  const out = Buffer.from(data);
  for (const { at, length, from } of runs) {
    for (let i = 0; i < length; i++)
      out[at + i] = ((data[at + i] as number) - (old[from + i] as number)) & 0xff;
  }
  return out;
}

/** Adds the old content along encoded runs to `data`, in place. Each byte once at most. Throws DeltaMalformed. */
export function addRuns(data: Buffer, old: Buffer, encoded: Buffer): void {
  const reader = new VarintReader(encoded);
  let [end, shift] = [0, 0];
  while (!reader.isDone) {
    const at = end + reader.varint();
    const length = reader.varint() + 1;
    shift += reader.signed();
    const from = at + shift;
    if (at + length > data.length || from < 0 || from + length > old.length)
      throw new DeltaMalformed('a run leads outside');
    for (let i = 0; i < length; i++)
      data[at + i] = ((data[at + i] as number) + (old[from + i] as number)) & 0xff;
    end = at + length;
  }
}
