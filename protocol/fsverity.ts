import { createHash, hash } from 'node:crypto';

/**
 * fs-verity digest in userspace: SHA-256, 4 KiB blocks, no salt.
 * Format: Linux Documentation/filesystems/fsverity.rst, "Merkle tree" and "fs-verity descriptor".
 *
 * `leaves` are the tree's level-1 hashes: one 32-byte hash for each 512 KiB piece of the file (128 blocks). They
 * can be checked against the signed digest alone, and then each piece can be checked as it arrives.
 */
export const VERITY_BLOCK_BYTES = 4096;
/** 128 hashes of 32 bytes fill one hash block, so one leaf covers 128 data blocks. */
export const PIECE_BYTES = 128 * VERITY_BLOCK_BYTES;

const HASH_BYTES = 32;

export interface VerityTree {
  /** fs-verity file digest, hex. */
  digest: string;
  /** 32 bytes for each piece. */
  leaves: Buffer;
}

/** Hash of one zero-padded 4 KiB block. */
function hashBlock(block: Uint8Array): Buffer {
  if (block.length === VERITY_BLOCK_BYTES) return hash('sha256', block, 'buffer');
  const padded = Buffer.alloc(VERITY_BLOCK_BYTES);
  padded.set(block);
  return hash('sha256', padded, 'buffer');
}

/** The hashes of a buffer's 4 KiB blocks, joined. */
function hashBlocks(data: Uint8Array): Buffer {
  const blocks = Math.ceil(data.length / VERITY_BLOCK_BYTES);
  const out = Buffer.allocUnsafe(blocks * HASH_BYTES);
  for (let i = 0; i < blocks; i++) {
    hashBlock(data.subarray(i * VERITY_BLOCK_BYTES, (i + 1) * VERITY_BLOCK_BYTES)).copy(out, i * HASH_BYTES);
  }
  return out;
}

/** Leaf of one piece: at most 512 KiB, shorter only at the end of a file. A file of one block has no tree: its block hash is the leaf. */
export function leafOf(piece: Uint8Array, fileBytes: number): Buffer {
  return fileBytes <= VERITY_BLOCK_BYTES ? hashBlock(piece) : hashBlock(hashBlocks(piece));
}

/** Digest of a file, from its leaves and its size in bytes: the rest of the tree and the descriptor. */
export function digestOfLeaves(leaves: Uint8Array, fileBytes: number): string {
  let level: Buffer = Buffer.from(leaves);
  while (level.length > HASH_BYTES) level = hashBlocks(level);
  const descriptor = Buffer.alloc(256);
  descriptor.writeUInt8(1, 0); // version
  descriptor.writeUInt8(1, 1); // FS_VERITY_HASH_ALG_SHA256
  descriptor.writeUInt8(12, 2); // log2 of the block size
  descriptor.writeBigUInt64LE(BigInt(fileBytes), 8);
  level.copy(descriptor, 16); // root hash; an empty file's is all zero
  return hash('sha256', descriptor, 'hex');
}

/** How many leaves a file of this size has. */
export const leafCount = (fileBytes: number): number => Math.ceil(fileBytes / PIECE_BYTES);

/** Streams a file's pieces through the tree. `pieces` yields buffers of any size. */
export async function verityOf(
  pieces: AsyncIterable<Uint8Array>,
): Promise<VerityTree & { bytes: number; sha256: string }> {
  const whole = createHash('sha256');
  const held: Buffer[] = [];
  let heldBytes = 0;
  let bytes = 0;
  const full: Buffer[] = [];
  for await (const data of pieces) {
    whole.update(data);
    bytes += data.length;
    held.push(Buffer.from(data.buffer, data.byteOffset, data.length));
    heldBytes += data.length;
    if (heldBytes < PIECE_BYTES) continue;
    const joined = Buffer.concat(held);
    let offset = 0;
    for (; heldBytes - offset >= PIECE_BYTES; offset += PIECE_BYTES) {
      full.push(hashBlock(hashBlocks(joined.subarray(offset, offset + PIECE_BYTES))));
    }
    held.length = 0;
    if (offset < heldBytes) held.push(joined.subarray(offset));
    heldBytes -= offset;
  }
  if (heldBytes > 0) full.push(leafOf(Buffer.concat(held), bytes));
  const leaves = Buffer.concat(full);
  return { digest: digestOfLeaves(leaves, bytes), leaves, bytes, sha256: whole.digest('hex') };
}
