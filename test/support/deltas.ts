import { createHash } from 'node:crypto';
import { sha256Hex } from '../../protocol/canonical.ts';
import { type BlobBytes, encodeSegments } from '../../protocol/delta/encode.ts';
import { deltaObject, offerObject, type ReadyOffer } from '../../protocol/delta/offer.ts';
import { encodeHeader, NO_DIGEST } from '../../protocol/delta/table.ts';
import { verityOf } from '../../protocol/fsverity.ts';

export interface TestBlob {
  content: Buffer;
  verity: string;
  size: number;
  leaves: Buffer;
}

/** Bytes that nothing compresses, the same for a seed. */
export function noise(bytes: number, seed: number): Buffer<ArrayBuffer> {
  const blocks = [];
  for (let at = 0; at < bytes; at += 32) blocks.push(createHash('sha256').update(`${seed}/${at}`).digest());
  return Buffer.concat(blocks).subarray(0, bytes);
}

export async function blobOf(content: Buffer): Promise<TestBlob> {
  const pieces = (async function* () {
    yield content;
  })();
  const { digest, leaves } = await verityOf(pieces);
  return { content, verity: digest, size: content.length, leaves };
}

const bytesOf = (content: Buffer): BlobBytes => ({
  bytes: content.length,
  read: (position, length) => Buffer.from(content.subarray(position, position + length)),
});

type Side = Pick<TestBlob, 'content' | 'verity'>;

export function deltaOf(next: Side, old?: Side): Buffer {
  const segments = [...encodeSegments(bytesOf(next.content), old && bytesOf(old.content), 9)];
  const table = Buffer.concat(segments.map(({ entry }) => entry));
  const header = encodeHeader({
    tableBytes: table.length,
    oldBytes: old?.content.length ?? 0,
    newBytes: next.content.length,
    oldDigest: old?.verity ?? NO_DIGEST,
    newDigest: next.verity,
  });
  return Buffer.concat([header, table, ...segments.map(({ body }) => body)]);
}

/** Puts a delta and the offer of it among a source's objects, for a device that holds `held`. */
export function offerDelta(
  objects: Map<string, Buffer>,
  { delta, next, old, held = old ? [old] : [] }: { delta: Buffer; next: Side; old?: Side; held?: Side[] },
): string {
  const sha256 = sha256Hex(delta);
  const offer: ReadyOffer = {
    v: 1,
    state: 'ready',
    delta: sha256,
    bytes: delta.length,
    ...(old && { old: old.verity }),
  };
  const candidates = held.map(({ verity }) => verity);
  objects.set(offerObject(next.verity, candidates), Buffer.from(JSON.stringify(offer)));
  objects.set(deltaObject(sha256), delta);
  return deltaObject(sha256);
}
