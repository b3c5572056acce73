import type { Base } from '../../../protocol/delta/bases.ts';
import type { ReadyOffer } from '../../../protocol/delta/offer.ts';
import { deltaObject } from '../../../protocol/delta/offer.ts';
import {
  DELTA_HEADER_BYTES,
  type DeltaHeader,
  DeltaTable,
  NO_DIGEST,
  parseHeader,
} from '../../../protocol/delta/table.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import type { ChunkSource } from '../ports.ts';
import { DeltaUnusable } from './delta-unusable.ts';

/** What stands before the bodies, and the chunks it came in: bodies begin in the last of them. */
export interface DeltaFront {
  table: DeltaTable;
  header: DeltaHeader;
  chunks: Map<number, Buffer>;
}

/** Reads and checks header and table. Throws DeltaMalformed, DeltaUnusable and SourceError. */
export async function readFront(
  source: ChunkSource,
  offer: ReadyOffer,
  next: Base,
  old: Base | undefined,
  signal: AbortSignal,
): Promise<DeltaFront> {
  const chunks = new Map<number, Buffer>();
  const fetch = (wanted: number[]) =>
    source.fetch(
      deltaObject(offer.delta),
      wanted,
      async (index, payload) => {
        chunks.set(index, Buffer.from(payload));
      },
      signal,
    );
  await fetch([0]);
  const header = parseHeader(chunks.get(0) ?? Buffer.alloc(0));
  const isForThis =
    header.newDigest === next.verity &&
    header.newBytes === next.size &&
    header.oldDigest === (old?.verity ?? NO_DIGEST) &&
    header.oldBytes === (old?.size ?? 0);
  if (!isForThis) throw new DeltaUnusable('it is for other blobs than it was offered for');
  const end = DELTA_HEADER_BYTES + header.tableBytes;
  const last = Math.ceil(Math.min(end, offer.bytes) / LIMITS.chunkBytes) - 1;
  if (last > 0) await fetch(Array.from({ length: last }, (_, place) => place + 1));
  const front = Buffer.concat([...chunks].sort(([a], [b]) => a - b).map(([, payload]) => payload));
  return {
    table: DeltaTable.parse(front.subarray(DELTA_HEADER_BYTES, end), header, offer.bytes),
    header,
    chunks,
  };
}
