import { PIECE_BYTES } from '../../protocol/fsverity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { PartialBlob } from './ports.ts';

const CHUNKS_PER_PIECE = PIECE_BYTES / LIMITS.chunkBytes;

interface HalfPiece {
  data: Buffer;
  /** One bit for each chunk that is still to come. */
  wanting: number;
}

/** Chunks of the blob on its way whose pieces are not whole: kept while a line that breaks often is made again. */
export class HalfPieces {
  #verity: string | undefined;
  #pieces = new Map<number, HalfPiece>();

  /** Those of one blob at a time: another's are dropped. */
  of(verity: string): Map<number, HalfPiece> {
    if (verity !== this.#verity) this.#pieces = new Map();
    this.#verity = verity;
    return this.#pieces;
  }
}

/** Joins chunks to pieces and hands whole pieces on; one buffer for each half-filled piece, used again for the next. */
export class PieceAssembler {
  readonly #blob: PartialBlob;
  readonly #size: number;
  readonly #wanted: Set<number>;
  readonly #half: Map<number, HalfPiece>;
  readonly #free: Buffer[] = [];
  readonly #onPiece: (bytes: number) => void;
  /** Pieces that were not what was signed, with how often. */
  readonly spoiled = new Map<number, number>();

  constructor(
    blob: PartialBlob,
    size: number,
    half: Map<number, HalfPiece>,
    onPiece: (bytes: number) => void,
  ) {
    this.#blob = blob;
    this.#size = size;
    this.#wanted = new Set(blob.missing());
    this.#half = half;
    for (const piece of half.keys()) if (!this.#wanted.has(piece)) half.delete(piece);
    this.#onPiece = onPiece;
  }

  /** Chunks that are neither on disk nor in a half-filled piece, ascending. */
  lacking(): number[] {
    const chunks: number[] = [];
    for (const piece of this.#wanted) {
      const wanting = this.#half.get(piece)?.wanting ?? -1;
      for (let place = 0; place < chunksIn(piece, this.#size); place++)
        if (wanting & (1 << place)) chunks.push(piece * CHUNKS_PER_PIECE + place);
    }
    return chunks;
  }

  async take(chunk: number, payload: Buffer): Promise<void> {
    const piece = Math.floor(chunk / CHUNKS_PER_PIECE);
    if (!this.#wanted.has(piece)) return;
    const place = chunk % CHUNKS_PER_PIECE;
    const half = this.#half.get(piece) ?? this.#begin(piece);
    const at = place * LIMITS.chunkBytes;
    if (payload.length !== Math.min(LIMITS.chunkBytes, half.data.length - at)) return this.#spoil(piece);
    if ((half.wanting & (1 << place)) === 0) return;
    payload.copy(half.data, at);
    half.wanting &= ~(1 << place);
    if (half.wanting !== 0) return;
    this.#half.delete(piece);
    const isGood = await this.#blob.write(piece, half.data);
    if (half.data.length === PIECE_BYTES) this.#free.push(half.data);
    if (!isGood) return this.#spoil(piece);
    this.#wanted.delete(piece);
    this.#onPiece(half.data.length);
  }

  #begin(piece: number): HalfPiece {
    const length = Math.min(PIECE_BYTES, this.#size - piece * PIECE_BYTES);
    const data = (length === PIECE_BYTES && this.#free.pop()) || Buffer.allocUnsafe(length);
    const half = { data, wanting: (1 << chunksIn(piece, this.#size)) - 1 };
    this.#half.set(piece, half);
    return half;
  }

  #spoil(piece: number): void {
    this.#half.delete(piece);
    this.spoiled.set(piece, (this.spoiled.get(piece) ?? 0) + 1);
  }
}

const chunksIn = (piece: number, size: number): number =>
  Math.min(CHUNKS_PER_PIECE, Math.ceil((size - piece * PIECE_BYTES) / LIMITS.chunkBytes));
