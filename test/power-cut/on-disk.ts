import { createReadStream, existsSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { blobsFor } from '../../agent/update/core/fetch-plan.ts';
import { parseManifest } from '../../agent/update/desired-services.ts';
import { leafCount, leafOf, PIECE_BYTES, verityOf } from '../../protocol/fsverity.ts';
import type { ManifestBlob } from '../../protocol/manifest.ts';
import { leavesObject } from '../../protocol/objects.ts';
import { RECEIVER } from './agent.ts';
import type { Step } from './story.ts';

export interface Held {
  verity: string;
  piece: number;
  bytes: number;
  /** The disk holds what was signed. */
  isTrue: boolean;
}

/** The pieces that the maps on a disk name, for all layers that server and stick hold. */
export async function heldPieces(stateDir: string, step: Step): Promise<Held[]> {
  const held: Held[] = [];
  const objects = objectsOf(step);
  for (const [name, content] of objects) {
    const verity = /^blob-([0-9a-f]{64})$/.exec(name)?.[1];
    if (!verity) continue;
    const base = join(stateDir, 'blobs', verity);
    const leaves = objects.get(leavesObject(verity)) ?? Buffer.alloc(0);
    const text = await readFile(`${base}.pieces`, 'utf8').catch(() => undefined);
    const part = await open(`${base}.part`).catch(() => undefined);
    if (text !== undefined && part)
      held.push(...(await readHeld(verity, content.length, leaves, text, part)));
    await part?.close();
  }
  return held;
}

async function readHeld(
  verity: string,
  size: number,
  leaves: Buffer,
  text: string,
  part: Awaited<ReturnType<typeof open>>,
): Promise<Held[]> {
  const bits = Buffer.from(String((JSON.parse(text) as { bits: string }).bits), 'base64');
  const held: Held[] = [];
  for (let piece = 0; piece < leafCount(size); piece++) {
    if (((bits[piece >> 3] ?? 0) & (1 << (piece & 7))) === 0) continue;
    const data = Buffer.alloc(Math.min(PIECE_BYTES, size - piece * PIECE_BYTES));
    await part.read(data, 0, data.length, piece * PIECE_BYTES);
    const leaf = leaves.subarray(piece * 32, piece * 32 + 32);
    held.push({ verity, piece, bytes: data.length, isTrue: leafOf(data, size).equals(leaf) });
  }
  return held;
}

export async function isWhole(stateDir: string, { verity, size }: ManifestBlob): Promise<boolean> {
  const path = join(stateDir, 'blobs', `${verity}.erofs`);
  if (!existsSync(path)) return false;
  const tree = await verityOf(createReadStream(path) as AsyncIterable<Buffer>);
  return tree.digest === verity && leafCount(size) * 32 === tree.leaves.length;
}

const objectsOf = ({ objects, stick }: Step): Map<string, Buffer> =>
  new Map([...objects, ...(stick?.objects ?? [])]);

/** Of what the step wants to have in force. */
export function manifestOf(step: Step): string | undefined {
  const { release } =
    step.stick ?? (JSON.parse(payloadOf(step.envelope)) as { release: { manifest: string } });
  return objectsOf(step).get(`manifest-${release.manifest}`)?.toString();
}

const payloadOf = (envelope: Step['envelope']): string =>
  String((envelope as unknown as { payload: string }).payload);

export function blobsOfText(text: string | undefined): ManifestBlob[] {
  const manifest = parseManifest(text);
  return manifest ? blobsFor(manifest, RECEIVER) : [];
}
