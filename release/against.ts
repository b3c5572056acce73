import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { basesOf, lackingLayers } from '../protocol/delta/bases.ts';
import { buildDelta } from '../protocol/delta/build.ts';
import { isWorthIt, LEAST_OFFERED_BYTES, MOST_CANDIDATES } from '../protocol/delta/offer.ts';
import type { Manifest, Platform } from '../protocol/manifest.ts';
import { blobPath, readManifest } from './folder.ts';

/** As a fleet server makes it for the first asker; the one it makes later is smaller. */
const LEVEL = 9;

export interface UpdateCost {
  platform: Platform;
  /** Layers that a device with the older release lacks. */
  layers: number;
  /** Bytes of those layers on the device's disk. */
  newBytes: number;
  /** About what a device fetches, and what it would if it held nothing. */
  wireBytes: number;
  fullBytes: number;
}

export interface Against {
  release: string;
  platforms: UpdateCost[];
}

/** What a device that runs an older release fetches for this one: makes the deltas, one by one, and throws them away. */
export async function costAgainst(dir: string, olderDir: string): Promise<Against> {
  const [{ manifest }, { manifest: older }] = [await readManifest(dir), await readManifest(olderDir)];
  const folder = await mkdtemp(join(tmpdir(), 'wherry-against-'));
  try {
    const platforms = (['linux/amd64', 'linux/arm64'] as const).filter((platform) =>
      Object.values(manifest.services).some(({ images }) => images[platform]),
    );
    return {
      release: `${older.name} ${older.version}`,
      platforms: platforms.map((platform) => {
        const made = { dir, olderDir, outPath: join(folder, 'delta') };
        return { platform, ...costFor(manifest, older, platform, made) };
      }),
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
  manifest: Manifest,
  older: Manifest,
  platform: Platform,
  { dir, olderDir, outPath }: Places,
): Omit<UpdateCost, 'platform'> {
  const cost = { layers: 0, newBytes: 0, wireBytes: 0, fullBytes: 0 };
  for (const layer of lackingLayers(manifest, [older], platform)) {
    const bases = basesOf(layer, manifest, [older], platform).slice(0, MOST_CANDIDATES);
    const olds = bases.map(({ verity }) => ({ path: blobPath(olderDir, verity), digest: verity }));
    const next = { path: blobPath(dir, layer.verity), digest: layer.verity };
    const isSmall = layer.size < LEAST_OFFERED_BYTES;
    const { bytes, plainBytes } = isSmall
      ? { bytes: layer.size, plainBytes: layer.size }
      : buildDelta(next, olds, LEVEL, outPath);
    const fullBytes = Math.min(layer.size, plainBytes);
    cost.layers++;
    cost.newBytes += layer.size;
    cost.fullBytes += fullBytes;
    cost.wireBytes += isWorthIt(bytes, plainBytes) ? bytes : fullBytes;
  }
  return cost;
}
