import { blobsIn, type Manifest, type ManifestBlob, type Receiver } from '../../../protocol/manifest.ts';

/** What of a blob is on disk already: whole, or this many verified bytes of a partial download. */
export interface BlobOnDisk {
  isWhole: boolean;
  partialBytes: number;
}

export interface FetchPlan {
  lacking: ManifestBlob[];
  /** Bytes of the lacking blobs, and how many of those an earlier try has brought. */
  totalBytes: number;
  doneBytes: number;
  /** Bytes of blobs that the device holds whole. */
  reusedBytes: number;
}

/** Left free for the ledger, logs and the trust store. */
export const DISK_RESERVE_BYTES = 16 * 1024 * 1024;

/** Every blob for a device, each once, in the manifest's order, the agent's and the system's last. */
export function blobsFor(manifest: Manifest, receiver: Receiver): ManifestBlob[] {
  const blobs = blobsIn(manifest, receiver);
  return [...new Map(blobs.map((blob) => [blob.verity, blob])).values()];
}

export function planFetch(
  blobs: readonly ManifestBlob[],
  onDisk: ReadonlyMap<string, BlobOnDisk>,
): FetchPlan {
  const plan: FetchPlan = { lacking: [], totalBytes: 0, doneBytes: 0, reusedBytes: 0 };
  for (const blob of blobs) {
    const held = onDisk.get(blob.verity);
    if (held?.isWhole) {
      plan.reusedBytes += blob.size;
      continue;
    }
    plan.lacking.push(blob);
    plan.totalBytes += blob.size;
    plan.doneBytes += held?.partialBytes ?? 0;
  }
  return plan;
}

/** Bytes that are wanting on the disk; 0 when the plan fits. */
export const shortfallOf = (plan: FetchPlan, freeBytes: number): number =>
  Math.max(0, plan.totalBytes - plan.doneBytes + DISK_RESERVE_BYTES - freeBytes);
