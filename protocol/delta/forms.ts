import { FORM_BLOCK_BYTES, FORMS, Relocation, type Sides } from './relocation.ts';
import type { Run } from './runs.ts';

/** About what a byte that is not zero costs; less beside another. */
const COST = { alone: 4, beside: 3 };

/** For each block the form that leaves the least of it. */
export function chooseForms(sides: Omit<Sides, 'forms'>, runs: readonly Run[], blocks: number): Uint8Array {
  const chosen = new Uint8Array(blocks);
  const least = new Float64Array(blocks).fill(Number.POSITIVE_INFINITY);
  for (const form of FORMS.keys()) {
    Relocation.subtract({ ...sides, forms: new Uint8Array(blocks).fill(form) }, runs);
    for (const [block, cost] of costs(sides.residue, runs, blocks).entries()) {
      if (cost >= (least[block] as number)) continue;
      least[block] = cost;
      chosen[block] = form;
    }
  }
  return chosen;
}

function costs(residue: Buffer, runs: readonly Run[], blocks: number): Float64Array {
  const sums = new Float64Array(blocks);
  let place = 0;
  let before = 0;
  for (const { at, length } of runs) {
    for (let i = 0; i < length; i++, place++) {
      const byte = residue[place] as number;
      if (byte !== 0) {
        const block = Math.floor((at + i) / FORM_BLOCK_BYTES);
        sums[block] = (sums[block] as number) + (before === 0 ? COST.alone : COST.beside);
      }
      before = byte;
    }
  }
  return sums;
}
