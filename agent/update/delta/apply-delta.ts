import type { FileHandle } from 'node:fs/promises';
import { decodeSegment } from '../../../protocol/delta/decode.ts';
import { deltaObject } from '../../../protocol/delta/offer.ts';
import { discard } from '../../../protocol/delta/segment.ts';
import { SEGMENT_BYTES, WINDOW_BYTES } from '../../../protocol/delta/table.ts';
import { PIECE_BYTES } from '../../../protocol/fsverity.ts';
import type { ChunkSource, PartialBlob } from '../ports.ts';
import { BodyCollector, chunksOfBodies, type WantedSegment } from './body-collector.ts';
import type { DeltaFront } from './delta-front.ts';
import { DeltaUnusable } from './delta-unusable.ts';

const PIECES = SEGMENT_BYTES / PIECE_BYTES;

export interface Application {
  front: DeltaFront;
  /** sha256 of the delta. */
  delta: string;
  /** Absent when the delta needs none. */
  old: FileHandle | undefined;
  blob: PartialBlob;
  onBytes(bytes: number): void;
}

/**
 * Makes the missing pieces of a blob. Each is checked against its signed leaf before it is kept, so neither the delta
 * nor the old blob is trusted. Throws DeltaMalformed, DeltaUnusable and SourceError; good pieces are kept.
 */
export async function applyDelta(
  application: Application,
  source: ChunkSource,
  signal: AbortSignal,
): Promise<void> {
  const { front, delta, blob } = application;
  const missing = new Set(blob.missing());
  const wanted: WantedSegment[] = [];
  for (let index = 0; index < front.table.segments; index++) {
    if (piecesOf(index).some((piece) => missing.has(piece)))
      wanted.push({ ...front.table.segment(index), index });
  }
  const writer = new SegmentWriter(application, missing);
  for (const segment of wanted) if (segment.bodyBytes === 0) await writer.write(segment, Buffer.alloc(0));
  const collector = new BodyCollector(wanted);
  const take = async (chunk: number, payload: Buffer): Promise<void> => {
    for (const { segment, body } of collector.take(chunk, payload)) await writer.write(segment, body);
  };
  for (const [chunk, payload] of front.chunks) await take(chunk, payload);
  const chunks = chunksOfBodies(wanted).filter((chunk) => !front.chunks.has(chunk));
  front.chunks.clear();
  if (chunks.length > 0) await source.fetch(deltaObject(delta), chunks, take, signal);
}

const piecesOf = (segment: number): number[] =>
  Array.from({ length: PIECES }, (_, place) => segment * PIECES + place);

/** One segment after the other: they share one window of the old blob. */
class SegmentWriter {
  readonly #application: Application;
  readonly #missing: ReadonlySet<number>;
  #window: Buffer | undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(application: Application, missing: ReadonlySet<number>) {
    this.#application = application;
    this.#missing = missing;
  }

  write(segment: WantedSegment, body: Buffer): Promise<void> {
    const turn = this.#turn.then(() => this.#write(segment, body));
    // After a failure nothing more is decoded, but every caller hears of it.
    this.#turn = turn;
    turn.catch(() => {});
    return turn;
  }

  async #write(segment: WantedSegment, body: Buffer): Promise<void> {
    const { front, old, blob, onBytes } = this.#application;
    this.#window ??= Buffer.allocUnsafe(old ? WINDOW_BYTES : 0);
    const readOld = (into: Buffer, position: number) => readFully(old, into, position);
    const data = await decodeSegment(segment, body, front.header.oldBytes, readOld, this.#window);
    for (const [place, piece] of piecesOf(segment.index).entries()) {
      const content = data.subarray(place * PIECE_BYTES, (place + 1) * PIECE_BYTES);
      if (!this.#missing.has(piece)) continue;
      if (!(await blob.write(piece, content)))
        throw new DeltaUnusable(`segment ${segment.index} does not give what was signed`);
      onBytes(content.length);
    }
    if (segment.kind !== 'copy') discard(data);
    discard(body);
  }
}

async function readFully(file: FileHandle | undefined, into: Buffer, position: number): Promise<void> {
  const read = await file?.read(into, 0, into.length, position).catch((cause: Error) => {
    throw new DeltaUnusable(`the old blob cannot be read: ${cause.message}`, { cause });
  });
  if (read?.bytesRead !== into.length) throw new DeltaUnusable('the old blob ends too early');
}
