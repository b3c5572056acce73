import { execFileSync } from 'node:child_process';
import { createReadStream, linkSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BuiltDelta, buildDelta } from '../protocol/delta/build.ts';
import { deltaObject, offerObject, type ReadyOffer } from '../protocol/delta/offer.ts';
import { verityOf } from '../protocol/fsverity.ts';
import { leavesObject } from '../protocol/objects.ts';
import type { Applied, ApplyJob } from './apply-delta.ts';
import { type Bench, round } from './bench.ts';
import { type BlobPair, updatePairs } from './update-pairs.ts';

const APPLY = join(import.meta.dirname, 'apply-delta.ts');
/** What the fleet server makes for the first asker, and for the rest. */
const LEVELS = { first: 9, best: 19 };

interface Measured {
  blobBytes: number;
  fullBytes: number;
  first: BuiltDelta & { cpuSeconds: number };
  best: BuiltDelta & { cpuSeconds: number };
  applied: Applied;
}

/** BENCH_FOLDER keeps what was downloaded for the next run. */
export const bench: Bench = async () => {
  const kept = process.env['BENCH_FOLDER'];
  const folder = kept ?? mkdtempSync(join(tmpdir(), 'wherry-bench-delta-'));
  mkdirSync(folder, { recursive: true });
  try {
    const rows: Awaited<ReturnType<Bench>>['rows'] = {};
    const metrics: Record<string, number> = {};
    for (const pair of await updatePairs(folder)) {
      const measured = await measure(pair, folder);
      rows[pair.name] = rowOf(measured);
      Object.assign(metrics, metricsOf(pair.name, measured));
    }
    return { rows, metrics };
  } finally {
    if (kept === undefined) rmSync(folder, { recursive: true, force: true });
  }
};

async function measure({ name, old, next }: BlobPair, folder: string): Promise<Measured> {
  const work = join(folder, `work-${name}`);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work);
  const [oldTree, nextTree] = [await treeOf(old), await treeOf(next)];
  const build = (level: number) => {
    const cpu = process.cpuUsage();
    const files = [{ path: next, digest: nextTree.digest }, [{ path: old, digest: oldTree.digest }]] as const;
    const built = buildDelta(...files, level, join(work, `level-${level}`));
    const { user, system } = process.cpuUsage(cpu);
    return { ...built, cpuSeconds: (user + system) / 1e6 };
  };
  const [first, best] = [build(LEVELS.first), build(LEVELS.best)];
  const job: ApplyJob = {
    objects: join(work, 'objects'),
    blobs: join(work, 'blobs'),
    old: { verity: oldTree.digest, size: oldTree.bytes },
    next: { verity: nextTree.digest, size: nextTree.bytes },
  };
  mkdirSync(job.objects);
  mkdirSync(job.blobs);
  linkSync(old, join(job.blobs, `${oldTree.digest}.erofs`));
  const { sha256, bytes } = best;
  const offer: ReadyOffer = { v: 1, state: 'ready', delta: sha256, bytes, old: oldTree.digest };
  writeFileSync(join(job.objects, leavesObject(nextTree.digest)), nextTree.leaves);
  writeFileSync(join(job.objects, offerObject(nextTree.digest, [oldTree.digest])), JSON.stringify(offer));
  linkSync(join(work, `level-${LEVELS.best}`), join(job.objects, deltaObject(sha256)));
  const text = execFileSync(process.execPath, [APPLY, JSON.stringify(job)], { encoding: 'utf8' });
  const full = join(work, 'full.zst');
  execFileSync('zstd', ['-19', '-T0', '-q', next, '-o', full]);
  return {
    blobBytes: nextTree.bytes,
    fullBytes: statSync(full).size,
    first,
    best,
    applied: JSON.parse(text) as Applied,
  };
}

const treeOf = (path: string) => verityOf(createReadStream(path, { highWaterMark: 1024 * 1024 }));

const rowOf = ({ blobBytes, fullBytes, first, best, applied }: Measured) => ({
  'blob MB': round(blobBytes / 1e6),
  'full kB': round(fullBytes / 1e3),
  'delta kB': round(best.bytes / 1e3),
  'first kB': round(first.bytes / 1e3),
  'of full %': round((100 * best.bytes) / fullBytes),
  'build s': round(best.cpuSeconds),
  'first build s': round(first.cpuSeconds),
  'apply s': round(applied.cpuSeconds),
  'apply MiB': round(applied.peakExtraMib),
});

function metricsOf(name: string, { fullBytes, first, best, applied }: Measured): Record<string, number> {
  return {
    [`wire_ratio_${name}`]: round(best.bytes / fullBytes),
    [`first_wire_ratio_${name}`]: round(first.bytes / fullBytes),
    [`build_cpu_s_${name}`]: round(best.cpuSeconds),
    [`first_build_cpu_s_${name}`]: round(first.cpuSeconds),
    [`apply_cpu_s_${name}`]: round(applied.cpuSeconds),
    [`apply_peak_extra_mib_${name}`]: round(applied.peakExtraMib),
  };
}
