/** Fields of A64 instructions that lead elsewhere (Arm ARM, C4.1). Words are signed. */
export const INSTRUCTION_BYTES = 4;
const BRANCH_MASK = 0x7c000000;
const PAGE_MASK = 0x9f000000 | 0;
const ADD_MASK = 0xffc00000 | 0;
const LOAD_MASK = 0x3b000000;

/** B and BL. */
export const isBranch = (word: number): boolean => (word & BRANCH_MASK) === 0x14000000;
/** In bytes. */
export const branchOffset = (word: number): number => (word << 6) >> 4;
export const withBranchOffset = (word: number, bytes: number): number =>
  (word & ~0x03ffffff) | ((bytes >> 2) & 0x03ffffff);

/** BL by less than 32 MiB: of other content few words look like it. */
export function isNearCall(word: number): boolean {
  const top = word >>> 24;
  return top === 0x94 || top === 0x97;
}

/** ADRP. */
export const isPage = (word: number): boolean => (word & PAGE_MASK) === (0x90000000 | 0);
export const pageOffset = (word: number): number => ((((word >> 3) & ~3) << 11) >> 11) | ((word >>> 29) & 3);
export const withPageOffset = (word: number, pages: number): number =>
  (word & ~0x60ffffe0) | ((pages & 3) << 29) | (((pages >> 2) & 0x7ffff) << 5);

/** ADD of 64 bits, or a load or store, with an unsigned offset of twelve bits. */
export const hasLowOffset = (word: number): boolean =>
  (word & ADD_MASK) === (0x91000000 | 0) || (word & LOAD_MASK) === 0x39000000;
/** Log2 of what the offset counts in. */
export function lowScale(word: number): number {
  if ((word & LOAD_MASK) !== 0x39000000) return 0;
  const isVector = (word & 0x04000000) !== 0;
  return isVector && (word & 0x00800000) !== 0 ? 4 : word >>> 30;
}
export const lowOffset = (word: number): number => ((word >>> 10) & 0xfff) << lowScale(word);
export const withLowOffset = (word: number, bytes: number): number =>
  (word & ~(0xfff << 10)) | (((bytes >> lowScale(word)) & 0xfff) << 10);

export const destination = (word: number): number => word & 31;
export const base = (word: number): number => (word >>> 5) & 31;
