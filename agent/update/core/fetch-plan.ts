import { layersIn, type Manifest, type ManifestLayer, type Platform } from '../../../protocol/manifest.ts';

/** What of a layer is on disk already: whole, or this many verified bytes of a partial download. */
export interface LayerOnDisk {
  isWhole: boolean;
  partialBytes: number;
}

export interface FetchPlan {
  lacking: ManifestLayer[];
  /** Bytes of the lacking layers, and how many of those an earlier try has brought. */
  totalBytes: number;
  doneBytes: number;
  /** Bytes of layers that the device holds whole. */
  reusedBytes: number;
}

/** Left free for the ledger, logs and the trust store. */
export const DISK_RESERVE_BYTES = 16 * 1024 * 1024;

/** Layers of every image for a platform, each once, in the manifest's order, the agent's last. */
export function layersOf(manifest: Manifest, platform: Platform): ManifestLayer[] {
  const layers = layersIn(manifest, platform);
  return [...new Map(layers.map((layer) => [layer.verity, layer])).values()];
}

export function planFetch(
  layers: readonly ManifestLayer[],
  onDisk: ReadonlyMap<string, LayerOnDisk>,
): FetchPlan {
  const plan: FetchPlan = { lacking: [], totalBytes: 0, doneBytes: 0, reusedBytes: 0 };
  for (const layer of layers) {
    const held = onDisk.get(layer.verity);
    if (held?.isWhole) {
      plan.reusedBytes += layer.size;
      continue;
    }
    plan.lacking.push(layer);
    plan.totalBytes += layer.size;
    plan.doneBytes += held?.partialBytes ?? 0;
  }
  return plan;
}

/** Bytes that are wanting on the disk; 0 when the plan fits. */
export const shortfallOf = (plan: FetchPlan, freeBytes: number): number =>
  Math.max(0, plan.totalBytes - plan.doneBytes + DISK_RESERVE_BYTES - freeBytes);
