// Applies one delta as a device does, in a process of its own: `node apply-delta.ts <job as JSON>`.
import { readFile, writeFile } from 'node:fs/promises';
import { FolderBlobStore } from '../agent/update/blobs/folder-blob-store.ts';
import { DeltaFetcher } from '../agent/update/delta/delta-fetcher.ts';
import { fetchBlob } from '../agent/update/fetch-blob.ts';
import { FolderSource } from '../agent/update/sources/folder-source.ts';

export interface ApplyJob {
  /** Objects as files. */
  objects: string;
  /** Blobs of the device; the old one is there. */
  blobs: string;
  old: { verity: string; size: number };
  next: { verity: string; size: number };
}

export interface Applied {
  seconds: number;
  cpuSeconds: number;
  /** Above what the process held before. */
  peakExtraMib: number;
}

async function mibOf(key: string): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8');
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
}

const job = JSON.parse(process.argv[2] ?? '') as ApplyJob;
const blobs = await FolderBlobStore.open(job.blobs);
const source = new FolderSource(job.objects);
const deltas = new DeltaFetcher({
  source,
  blobs,
  spurned: new Set(),
  basesOf: () => [job.old],
  onUnusable: (message) => {
    throw new Error(message);
  },
  onWait: () => {},
});
const before = await mibOf('VmRSS');
// From here on VmHWM is the most of what follows: proc(5), clear_refs.
await writeFile('/proc/self/clear_refs', '5');
const startedAt = performance.now();
const cpu = process.cpuUsage();
const layer = { ...job.next, diffId: '0'.repeat(64) };
const outcome = await fetchBlob(layer, { source, blobs, deltas }, () => {}, new AbortController().signal);
if (!outcome.ok) throw new Error(outcome.message);
const { user, system } = process.cpuUsage(cpu);
const applied: Applied = {
  seconds: (performance.now() - startedAt) / 1000,
  cpuSeconds: (user + system) / 1e6,
  peakExtraMib: (await mibOf('VmHWM')) - before,
};
console.log(JSON.stringify(applied));
