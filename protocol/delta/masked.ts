import {
  base,
  hasLowOffset,
  INSTRUCTION_BYTES,
  isBranch,
  isNearCall,
  isPage,
  withBranchOffset,
  withLowOffset,
  withPageOffset,
} from './arm64.ts';
import { DELTA_BLOCK_BYTES } from './table.ts';
import { isX86Distance, isX86Reference, X86_LEAD_BYTES } from './x86-64.ts';

/** Nearer than this, an operand hardly changes. */
const NEAR = 128;
/** A block of A64 code has tens of calls; other content has three or four words that look like one. */
const FEWEST_CALLS = 12;
/** Stack pointer and zero register: what is added to them is no address. */
const NO_BASE = 31;

/** Content without what its references lead to, so that code is found again that only moved. */
export function masked(content: Buffer): Buffer {
  const out = Buffer.from(content);
  for (let start = 0; start < content.length; start += DELTA_BLOCK_BYTES) {
    const end = Math.min(content.length, start + DELTA_BLOCK_BYTES) - INSTRUCTION_BYTES;
    if (isArm64(content, start, end)) maskArm64(out, start, end);
    else maskX86(content, out, start, end);
  }
  return out;
}

function isArm64(content: Buffer, start: number, end: number): boolean {
  let calls = 0;
  for (let at = start; at <= end; at += INSTRUCTION_BYTES) if (isNearCall(content.readInt32LE(at))) calls++;
  return calls >= FEWEST_CALLS;
}

function maskArm64(out: Buffer, start: number, end: number): void {
  for (let at = start; at <= end; at += INSTRUCTION_BYTES) {
    const word = out.readInt32LE(at);
    if (isBranch(word)) out.writeInt32LE(withBranchOffset(word, 0), at);
    else if (isPage(word)) out.writeInt32LE(withPageOffset(word, 0), at);
    else if (hasLowOffset(word) && base(word) !== NO_BASE) out.writeInt32LE(withLowOffset(word, 0), at);
  }
}

function maskX86(content: Buffer, out: Buffer, start: number, end: number): void {
  for (let at = Math.max(start, X86_LEAD_BYTES); at <= end; at++) {
    if (!isX86Reference(content, at)) continue;
    const distance = content.readInt32LE(at);
    if (!isX86Distance(distance) || Math.abs(distance) < NEAR) continue;
    out.writeInt32LE(0, at);
    at += INSTRUCTION_BYTES - 1;
  }
}
