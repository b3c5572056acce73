import { BLOCK_BYTES, DIRENT_BYTES, TYPES } from './format.ts';

/** A folder's content. Names are in the order of bytes, "." and ".." among them; each block is searched by itself. */
export interface Dirent {
  /** latin1 text of its bytes. */
  name: string;
  type: keyof typeof TYPES;
}

/** The entries of each block, and the size of the folder: all blocks but the last count whole. */
export function direntBlocks<T extends Dirent>(sorted: readonly T[]): { blocks: T[][]; sizeBytes: number } {
  const blocks: T[][] = [];
  let used = BLOCK_BYTES;
  for (const entry of sorted) {
    const bytes = DIRENT_BYTES + entry.name.length;
    if (used + bytes > BLOCK_BYTES) {
      blocks.push([]);
      used = 0;
    }
    blocks.at(-1)?.push(entry);
    used += bytes;
  }
  return { blocks, sizeBytes: (blocks.length - 1) * BLOCK_BYTES + used };
}

/** One block's bytes: erofs_dirent, then the names. */
export function encodeDirents(entries: readonly (Dirent & { nid: number })[]): Buffer {
  const heads = Buffer.alloc(entries.length * DIRENT_BYTES);
  let nameAt = heads.length;
  for (const [index, { name, type, nid }] of entries.entries()) {
    const at = index * DIRENT_BYTES;
    heads.writeBigUInt64LE(BigInt(nid), at);
    heads.writeUInt16LE(nameAt, at + 8);
    heads.writeUInt8(TYPES[type].dirent, at + 10);
    nameAt += name.length;
  }
  return Buffer.concat([heads, ...entries.map(({ name }) => Buffer.from(name, 'latin1'))]);
}
