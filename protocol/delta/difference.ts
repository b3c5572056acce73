import type { Aligner } from './aligner.ts';
import { decodeBrotli, encodeBrotli } from './brotli.ts';
import { DeltaMalformed } from './delta-malformed.ts';
import { chooseForms } from './forms.ts';
import { masked } from './masked.ts';
import { FORM_BLOCK_BYTES, Relocation } from './relocation.ts';
import { decodeRuns, encodeRuns, literalsOf, placeLiterals, runBytes } from './runs.ts';
import { compressSegment, decompressSegment, discard } from './segment.ts';
import type { BlockRange } from './table.ts';

/**
 * Body of a `diff` segment, which is laid along old content (relocation.ts):
 *
 *   0   u8 which of residue and literals are brotli (bits 0 and 1), zstd else; the dictionary of zstd literals is the old content
 *   1   u24 bytes of the plan    4   u24 of its zstd frame    7   u24 of the residue's    10  the three streams
 *
 * The plan: one byte for each block of the segment (FORMS), then the runs. The residue: what remains along the runs,
 * joined. The literals: what lies along none, joined.
 */
const HEADER_BYTES = 10;
const MOST_PLAN_BYTES = 256 * 1024;
const [RESIDUE_BROTLI, LITERALS_BROTLI] = [1, 2];

export interface OldContent {
  /** The ranges, joined. */
  old: Buffer;
  ranges: readonly BlockRange[];
}

const formsBytes = (bytes: number): number => Math.ceil(bytes / FORM_BLOCK_BYTES);

/** Undefined when nothing lies along the old content, or it would take more runs than are allowed. */
export function encodeDifference(
  next: Buffer,
  { old, ranges }: OldContent,
  level: number,
  aligner: Aligner,
): Buffer | undefined {
  const runs = aligner.align(masked(old), masked(next));
  const encoded = encodeRuns(runs);
  if (encoded.length > MOST_PLAN_BYTES / 2 || encoded.length === 0) return undefined;
  const residue = Buffer.alloc(runBytes(runs));
  const forms = chooseForms({ next, old, ranges, residue }, runs, formsBytes(next.length));
  Relocation.subtract({ next, old, ranges, forms, residue }, runs);
  const plan = Buffer.concat([forms, encoded]);
  const planFrame = compressSegment(plan, level);
  const residueFrame = smaller(compressSegment(residue, level), encodeBrotli(residue, level));
  const literals = literalsOf(next, runs);
  const literalsFrame = smaller(compressSegment(literals, level, old), encodeBrotli(literals, level));
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(
    (residueFrame.isBrotli ? RESIDUE_BROTLI : 0) | (literalsFrame.isBrotli ? LITERALS_BROTLI : 0),
  );
  header.writeUIntBE(plan.length, 1, 3);
  header.writeUIntBE(planFrame.length, 4, 3);
  header.writeUIntBE(residueFrame.body.length, 7, 3);
  return Buffer.concat([header, planFrame, residueFrame.body, literalsFrame.body]);
}

const smaller = (zstd: Buffer, brotli: Buffer): { body: Buffer; isBrotli: boolean } =>
  brotli.length < zstd.length ? { body: brotli, isBrotli: true } : { body: zstd, isBrotli: false };

/** Throws DeltaMalformed. */
export async function decodeDifference(
  body: Buffer,
  bytes: number,
  { old, ranges }: OldContent,
): Promise<Buffer> {
  const { codecs, planBytes, planFrame, residueFrame, literalsFrame } = split(body);
  if (planBytes > MOST_PLAN_BYTES || planBytes < formsBytes(bytes))
    throw new DeltaMalformed('a difference says more or less of its plan than is allowed');
  const plan = await decompressSegment(planFrame, planBytes);
  const forms = plan.subarray(0, formsBytes(bytes));
  const runs = () => decodeRuns(plan.subarray(formsBytes(bytes)), bytes, old.length);
  const along = runBytes(runs());
  const residue = await stream(residueFrame, along, (codecs & RESIDUE_BROTLI) !== 0);
  const literals = await stream(literalsFrame, bytes - along, (codecs & LITERALS_BROTLI) !== 0, old);
  const next = Buffer.allocUnsafeSlow(bytes);
  placeLiterals(next, literals, runs());
  discard(literals);
  Relocation.add({ next, old, ranges, forms, residue }, runs());
  discard(residue);
  discard(plan);
  return next;
}

function split(body: Buffer) {
  if (body.length < HEADER_BYTES) throw new DeltaMalformed('a difference is cut short');
  const residueAt = HEADER_BYTES + body.readUIntBE(4, 3);
  const literalsAt = residueAt + body.readUIntBE(7, 3);
  if (literalsAt > body.length) throw new DeltaMalformed('a difference is cut short');
  return {
    codecs: body.readUInt8(0),
    planBytes: body.readUIntBE(1, 3),
    planFrame: body.subarray(HEADER_BYTES, residueAt),
    residueFrame: body.subarray(residueAt, literalsAt),
    literalsFrame: body.subarray(literalsAt),
  };
}

const stream = (frame: Buffer, bytes: number, isBrotli: boolean, dictionary?: Buffer): Promise<Buffer> =>
  isBrotli ? decodeBrotli(frame, bytes) : decompressSegment(frame, bytes, dictionary);
