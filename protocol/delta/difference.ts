import type { Aligner } from './aligner.ts';
import { DeltaMalformed } from './delta-malformed.ts';
import { addRuns, encodeRuns, subtractRuns } from './runs.ts';
import { compressSegment, decompressSegment, discard } from './segment.ts';

/**
 * Body of a `diff` segment: u32 bytes of the runs, u32 bytes of their zstd frame, that frame, and a frame of the segment
 * less the old content along the runs, with the old content as its dictionary.
 */
const HEADER_BYTES = 8;
const MOST_RUNS_BYTES = 256 * 1024;

/** Undefined when it would take more runs than are allowed. */
export function encodeDifference(
  data: Buffer,
  old: Buffer,
  level: number,
  aligner: Aligner,
): Buffer | undefined {
  const runs = aligner.align(old, data);
  const encoded = encodeRuns(runs);
  if (encoded.length > MOST_RUNS_BYTES || encoded.length === 0) return undefined;
  const frame = compressSegment(encoded, level);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(encoded.length, 0);
  header.writeUInt32BE(frame.length, 4);
  return Buffer.concat([header, frame, compressSegment(subtractRuns(data, old, runs), level, old)]);
}

/** Throws DeltaMalformed. */
export async function decodeDifference(body: Buffer, bytes: number, old: Buffer): Promise<Buffer> {
  if (body.length < HEADER_BYTES) throw new DeltaMalformed('a difference is cut short');
  const runsBytes = body.readUInt32BE(0);
  const end = HEADER_BYTES + body.readUInt32BE(4);
  if (runsBytes > MOST_RUNS_BYTES || end > body.length)
    throw new DeltaMalformed('a difference says more of its runs than is allowed');
  const runs = await decompressSegment(body.subarray(HEADER_BYTES, end), runsBytes);
  const data = await decompressSegment(body.subarray(end), bytes, old);
  addRuns(data, old, runs);
  discard(runs);
  return data;
}
