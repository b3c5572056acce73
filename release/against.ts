import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Base, basesOf, lackingLayers } from '../protocol/delta/bases.ts';
import { buildDelta } from '../protocol/delta/build.ts';
import { isWorthIt, LEAST_OFFERED_BYTES, MOST_CANDIDATES } from '../protocol/delta/offer.ts';
import { PLATFORMS, type Platform } from '../protocol/manifest.ts';
import { blobPath, readManifest } from './folder.ts';

/** As a fleet server makes it for the first asker; the one it makes later is smaller. */
const LEVEL = 9;

export interface UpdateCost {
  /** Blobs that a device with the older release lacks. */
  layers: number;
  /** Bytes of those blobs on the device's disk. */
  newBytes: number;
  /** About what a device fetches, and what it would if it held nothing. */
  wireBytes: number;
  fullBytes: number;
}

export interface Against {
  release: string;
  /** Of the images. */
  platforms: (UpdateCost & { platform: Platform })[];
  /** Of the system, on top; absent = it brings none. */
  systems?: (UpdateCost & { board: string })[];
}

/** What a device that runs an older release fetches for this one: makes the deltas, one by one, and throws them away. */
export async function costAgainst(dir: string, olderDir: string): Promise<Against> {
  const [{ manifest }, { manifest: older }] = [await readManifest(dir), await readManifest(olderDir)];
  const folder = await mkdtemp(join(tmpdir(), 'wherry-against-'));
  try {
    const made = { dir, olderDir, outPath: join(folder, 'delta') };
    const platforms = PLATFORMS.filter((platform) =>
      Object.values(manifest.services).some(({ images }) => images[platform]),
    );
    const [first = 'linux/arm64'] = platforms;
    const boards = Object.keys(manifest.system?.boards ?? {});
    const costOf = (platform: Platform, board: string | undefined) => {
      const images = lackingLayers(manifest, [older], { platform, board: undefined });
      const known = new Set(images.map(({ verity }) => verity));
      const all = lackingLayers(manifest, [older], { platform, board });
      const lacking = board === undefined ? images : all.filter(({ verity }) => !known.has(verity));
      return costFor(lacking, (blob) => basesOf(blob, manifest, [older], { platform, board }), made);
    };
    return {
      release: `${older.name} ${older.version}`,
      platforms: platforms.map((platform) => ({ platform, ...costOf(platform, undefined) })),
      // Whatever the platform of a board is: a system is in no image.
      ...(boards.length > 0 && { systems: boards.map((board) => ({ board, ...costOf(first, board) })) }),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Places {
  dir: string;
  olderDir: string;
  outPath: string;
}

function costFor(
  lacking: readonly Base[],
  basesFor: (blob: Base) => Base[],
  { dir, olderDir, outPath }: Places,
): UpdateCost {
  const cost = { layers: 0, newBytes: 0, wireBytes: 0, fullBytes: 0 };
  for (const blob of lacking) {
    const bases = basesFor(blob).slice(0, MOST_CANDIDATES);
    const olds = bases.map(({ verity }) => ({ path: blobPath(olderDir, verity), digest: verity }));
    const next = { path: blobPath(dir, blob.verity), digest: blob.verity };
    const isSmall = blob.size < LEAST_OFFERED_BYTES;
    const { bytes, plainBytes } = isSmall
      ? { bytes: blob.size, plainBytes: blob.size }
      : buildDelta(next, olds, LEVEL, outPath);
    const fullBytes = Math.min(blob.size, plainBytes);
    cost.layers++;
    cost.newBytes += blob.size;
    cost.fullBytes += fullBytes;
    cost.wireBytes += isWorthIt(bytes, plainBytes) ? bytes : fullBytes;
  }
  return cost;
}
