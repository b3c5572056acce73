import { CHUNK_HEADER_BYTES, writeChunkHeader } from '../../protocol/chunk-frame.ts';
import type { Get } from '../../protocol/messages.ts';

/** Chunks that are neighbours in their object: read at once, written at once. */
export interface ChunkRun {
  first: number;
  count: number;
}

/** Cuts ascending indexes into runs of `most` chunks or fewer. */
export function* runsOf(indexes: readonly number[], most: number): Generator<ChunkRun> {
  for (let at = 0; at < indexes.length; ) {
    const first = indexes[at] ?? 0;
    let count = 1;
    while (count < most && indexes[at + count] === first + count) count++;
    yield { first, count };
    at += count;
  }
}

/** A run as it goes over the line, each chunk behind its two heads, and where their payloads belong. */
export function layOut(
  { first, count }: ChunkRun,
  { request, chunkBytes }: Pick<Get, 'request' | 'chunkBytes'>,
  { objectBytes, headOf }: { objectBytes: number; headOf(messageBytes: number): Buffer },
  memory: Buffer,
): { packets: Buffer; payloads: Buffer[] } {
  const payloads: Buffer[] = [];
  let end = 0;
  for (let index = first; index < first + count; index++) {
    const length = Math.min(chunkBytes, objectBytes - index * chunkBytes);
    const head = headOf(CHUNK_HEADER_BYTES + length);
    memory.set(head, end);
    writeChunkHeader(memory.subarray(end + head.length), { request, index, chunkBytes, objectBytes });
    const payloadAt = end + head.length + CHUNK_HEADER_BYTES;
    end = payloadAt + length;
    payloads.push(memory.subarray(payloadAt, end));
  }
  return { packets: memory.subarray(0, end), payloads };
}
