import { LIMITS } from '../../../protocol/limits.ts';
import type { ChunkSource } from '../ports.ts';
import { aborted, SourceError } from './source-error.ts';

/** Objects in memory, served in 64 KiB chunks. */
export class FakeSource implements ChunkSource {
  readonly objects: Map<string, Buffer>;
  /** Awaited before an object is read. */
  onRead: (object: string) => Promise<void> = async () => {};
  /** What was read, in order. */
  readonly reads: string[] = [];

  constructor(objects = new Map<string, Buffer>()) {
    this.objects = objects;
  }

  async read(object: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    this.reads.push(object);
    await this.onRead(object);
    const content = this.#open(object, signal);
    if (content.length > maxBytes)
      throw new SourceError('too-large', `Cannot read ${object}: it has ${content.length} bytes`);
    return content;
  }

  async fetch(
    object: string,
    chunks: readonly number[],
    onChunk: (index: number, payload: Buffer) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    for (const index of chunks) {
      const content = this.#open(object, signal);
      const at = index * LIMITS.chunkBytes;
      if (at >= content.length)
        throw new SourceError('rejected', `Cannot fetch ${object}: chunk ${index} is past its end`);
      await onChunk(index, content.subarray(at, at + LIMITS.chunkBytes));
    }
  }

  #open(object: string, signal: AbortSignal): Buffer {
    if (signal.aborted) throw aborted(object);
    const content = this.objects.get(object);
    if (!content)
      throw new SourceError('unknown-object', `Cannot fetch ${object}: the source does not have it`);
    return content;
  }
}
