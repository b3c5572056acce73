import { LIMITS } from './limits.ts';

/**
 * One `data` message: 24-byte big-endian header, then the chunk.
 *
 *   0  u8  version = 1     1 u8 kind = 0    2 u16 reserved = 0
 *   4  u32 request id      8 u32 chunk index
 *   12 u32 chunk size asked for (the last chunk of an object may be shorter)
 *   16 u64 object size in bytes
 */
export const CHUNK_HEADER_BYTES = 24;

export interface ChunkFrame {
  request: number;
  index: number;
  chunkBytes: number;
  objectBytes: number;
  payload: Buffer;
}

export function encodeChunk(frame: ChunkFrame): Buffer {
  const out = Buffer.allocUnsafe(CHUNK_HEADER_BYTES + frame.payload.length);
  writeChunkHeader(out, frame);
  frame.payload.copy(out, CHUNK_HEADER_BYTES);
  return out;
}

/** Into the first bytes of a message that holds its payload already. */
export function writeChunkHeader(out: Buffer, frame: Omit<ChunkFrame, 'payload'>): void {
  out.writeUInt8(1, 0);
  out.writeUInt8(0, 1);
  out.writeUInt16BE(0, 2);
  out.writeUInt32BE(frame.request, 4);
  out.writeUInt32BE(frame.index, 8);
  out.writeUInt32BE(frame.chunkBytes, 12);
  out.writeBigUInt64BE(BigInt(frame.objectBytes), 16);
}

/** Undefined for anything that is not a well-formed frame: wrong version, impossible index, wrong payload size. */
export function decodeChunk(message: Buffer): ChunkFrame | undefined {
  if (message.length < CHUNK_HEADER_BYTES || message.readUInt32BE(0) !== 0x01000000) return undefined;
  const chunkBytes = message.readUInt32BE(12);
  const objectBytes = Number(message.readBigUInt64BE(16));
  const index = message.readUInt32BE(8);
  if (
    chunkBytes < LIMITS.minChunkBytes ||
    chunkBytes > LIMITS.maxChunkBytes ||
    objectBytes > LIMITS.blobBytes
  )
    return undefined;
  const payload = message.subarray(CHUNK_HEADER_BYTES);
  const wanted = Math.min(chunkBytes, objectBytes - index * chunkBytes);
  if (wanted < 0 || payload.length !== wanted) return undefined;
  return { request: message.readUInt32BE(4), index, chunkBytes, objectBytes, payload };
}

/** Chunk indexes as a bitmap relative to `first`: least significant bit of byte 0 is `first` itself. */
export function encodeBitmap(indexes: readonly number[]): { first: number; bitmap: string } {
  const first = Math.min(...indexes);
  const bytes = Buffer.alloc(Math.ceil((Math.max(...indexes) - first + 1) / 8));
  for (const index of indexes) {
    const bit = index - first;
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
  }
  return { first, bitmap: bytes.toString('base64') };
}

/** The chunk indexes of a `get`, ascending; undefined when the bitmap is wider than `LIMITS.chunksPerGet` or empty. */
export function decodeBitmap(first: number, bitmap: string): number[] | undefined {
  const bytes = Buffer.from(bitmap, 'base64');
  if (bytes.length * 8 > LIMITS.chunksPerGet) return undefined;
  const indexes = [];
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    if ((bytes[bit >> 3] ?? 0) & (1 << (bit & 7))) indexes.push(first + bit);
  }
  return indexes.length > 0 ? indexes : undefined;
}
