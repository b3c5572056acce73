import type { DeltaSegment } from '../../../protocol/delta/table.ts';
import { LIMITS } from '../../../protocol/limits.ts';

const { chunkBytes } = LIMITS;

export interface WantedSegment extends DeltaSegment {
  index: number;
}

/** The chunks of a delta in which the bodies of these segments stand, ascending, each once. */
export function chunksOfBodies(segments: readonly WantedSegment[]): number[] {
  const chunks = new Set<number>();
  for (const segment of segments) for (const chunk of chunksOf(segment)) chunks.add(chunk);
  return [...chunks];
}

function chunksOf({ bodyAt, bodyBytes }: WantedSegment): number[] {
  if (bodyBytes === 0) return [];
  const first = Math.floor(bodyAt / chunkBytes);
  const last = Math.floor((bodyAt + bodyBytes - 1) / chunkBytes);
  return Array.from({ length: last - first + 1 }, (_, place) => first + place);
}

/**
 * Joins chunks to bodies. A chunk is let go when the last body that needs it was made; its buffer serves the next. Each
 * body has memory of its own.
 */
export class BodyCollector {
  readonly #chunks = new Map<number, { buffer: Buffer; bytes: number }>();
  readonly #free: Buffer[] = [];
  /** Segments by each chunk they wait for; a segment waits for some chunk until it was handed out. */
  readonly #waiting = new Map<number, WantedSegment[]>();
  /** How many chunks a segment still lacks. */
  readonly #lacks = new Map<WantedSegment, number>();

  constructor(segments: readonly WantedSegment[]) {
    for (const segment of segments) {
      const chunks = chunksOf(segment);
      if (chunks.length > 0) this.#lacks.set(segment, chunks.length);
      for (const chunk of chunks) {
        const waiting = this.#waiting.get(chunk);
        if (waiting) waiting.push(segment);
        else this.#waiting.set(chunk, [segment]);
      }
    }
  }

  /** Segments whose bodies this chunk completes. A chunk that is not wanted, or comes twice, completes none. */
  take(chunk: number, payload: Buffer): { segment: WantedSegment; body: Buffer }[] {
    const waiting = this.#waiting.get(chunk);
    if (!waiting || this.#chunks.has(chunk)) return [];
    // A copy: what a source hands over may be part of something larger.
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(chunkBytes);
    this.#chunks.set(chunk, { buffer, bytes: payload.copy(buffer) });
    const whole = [];
    for (const segment of waiting) {
      const lacks = (this.#lacks.get(segment) ?? 0) - 1;
      this.#lacks.set(segment, lacks);
      if (lacks === 0) whole.push({ segment, body: this.#bodyOf(segment) });
    }
    for (const { segment } of whole) this.#letGo(segment);
    return whole;
  }

  /** A chunk that was shorter than it should be leaves a gap; then the body does not decode to what was signed. */
  #bodyOf(segment: WantedSegment): Buffer {
    const { bodyAt, bodyBytes } = segment;
    const body = Buffer.alloc(bodyBytes);
    for (const chunk of chunksOf(segment)) {
      const { buffer, bytes } = this.#chunks.get(chunk) ?? { buffer: body, bytes: 0 };
      const start = chunk * chunkBytes;
      buffer.copy(body, Math.max(0, start - bodyAt), Math.max(0, bodyAt - start), bytes);
    }
    return body;
  }

  #letGo(segment: WantedSegment): void {
    this.#lacks.delete(segment);
    for (const chunk of chunksOf(segment)) {
      const waiting = (this.#waiting.get(chunk) ?? []).filter((other) => other !== segment);
      if (waiting.length > 0) this.#waiting.set(chunk, waiting);
      else {
        this.#waiting.delete(chunk);
        const { buffer } = this.#chunks.get(chunk) ?? {};
        if (buffer) this.#free.push(buffer);
        this.#chunks.delete(chunk);
      }
    }
  }
}
