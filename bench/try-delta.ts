import { execFile } from 'node:child_process';
import {
  createReadStream,
  existsSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BlobFile } from '../protocol/delta/build.ts';
import { deltaObject, offerObject, type ReadyOffer } from '../protocol/delta/offer.ts';
import { verityOf } from '../protocol/fsverity.ts';
import { leavesObject } from '../protocol/objects.ts';
import { agentFlags } from './agent-flags.ts';
import type { Applied, ApplyJob } from './apply-delta.ts';
import { type Bench, round } from './bench.ts';
import type { MadeDelta, MakeJob } from './make-delta.ts';
import { told } from './progress.ts';
import { type BlobPair, updatePairs } from './update-pairs.ts';

const run = promisify(execFile);
const APPLY = join(import.meta.dirname, 'apply-delta.ts');
const MAKE = join(import.meta.dirname, 'make-delta.ts');
/** What the fleet server makes for the first asker, and for the rest. */
const LEVELS = { first: 9, best: 9 };

interface Measured {
  blobBytes: number;
  fullBytes: number;
  first: MadeDelta;
  best: MadeDelta;
  applied: Applied;
}

/**
 * What was downloaded and unpacked is kept for the next run, in BENCH_FOLDER or a folder of its own among the temporary
 * files: remove it for packages of today.
 */
export const bench: Bench = async () => {
  const folder = process.env['BENCH_FOLDER'] ?? join(tmpdir(), 'wherry-bench-update-delta');
  mkdirSync(folder, { recursive: true });
  const rows: Awaited<ReturnType<Bench>>['rows'] = {};
  const metrics: Record<string, number> = {};
  for (const pair of await updatePairs(folder)) {
    if (!/security|node_binary/.test(pair.name)) continue;
    const measured = await measure(pair, folder);
    rows[pair.name] = rowOf(measured);
    Object.assign(metrics, metricsOf(pair.name, measured));
  }
  return { rows, metrics };
};

type Tree = Awaited<ReturnType<typeof verityOf>>;

async function measure({ name, old, next }: BlobPair, folder: string): Promise<Measured> {
  const work = join(folder, `work-${name}`);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work);
  const [oldTree, nextTree] = [await treeOf(old), await treeOf(next)];
  const [oldFile, nextFile] = [
    { path: old, digest: oldTree.digest },
    { path: next, digest: nextTree.digest },
  ];
  const make = (level: number) =>
    told(`${name}: delta at level ${level}`, () =>
      make1({ next: nextFile, old: oldFile, level, outPath: join(work, `level-${level}`) }),
    );
  // Two processes at once: each counts its own CPU time.
  const [first, best] = await Promise.all([
    make(LEVELS.first).then(async (made) => ({ made, fullBytes: await fullBytesOf(name, next) })),
    make(LEVELS.best),
  ]);
  const applied = await told(`${name}: applied as a device does`, () =>
    apply(work, best, { old: oldTree, next: nextTree }, oldFile),
  );
  rmSync(work, { recursive: true });
  return { blobBytes: nextTree.bytes, fullBytes: first.fullBytes, first: first.made, best, applied };
}

async function make1(job: MakeJob): Promise<MadeDelta> {
  const { stdout } = await run(process.execPath, [MAKE, JSON.stringify(job)]);
  return JSON.parse(stdout) as MadeDelta;
}

/** The compressed blob is kept: it depends on nothing that this measures. */
async function fullBytesOf(name: string, blob: string): Promise<number> {
  const full = `${blob}.zst`;
  if (!existsSync(full))
    await told(`${name}: whole at zstd -19`, async () => {
      await run('zstd', ['-19', '-q', '-f', blob, '-o', `${full}.partial`]);
      renameSync(`${full}.partial`, full);
    });
  return statSync(full).size;
}

async function apply(
  work: string,
  { sha256, bytes }: MadeDelta,
  trees: { old: Tree; next: Tree },
  oldFile: BlobFile,
): Promise<Applied> {
  const { old, next } = trees;
  const job: ApplyJob = {
    objects: join(work, 'objects'),
    blobs: join(work, 'blobs'),
    old: { verity: old.digest, size: old.bytes },
    next: { verity: next.digest, size: next.bytes },
  };
  mkdirSync(job.objects);
  mkdirSync(job.blobs);
  linkSync(oldFile.path, join(job.blobs, `${old.digest}.erofs`));
  const offer: ReadyOffer = { v: 1, state: 'ready', delta: sha256, bytes, old: old.digest };
  writeFileSync(join(job.objects, leavesObject(next.digest)), next.leaves);
  writeFileSync(join(job.objects, offerObject(next.digest, [old.digest])), JSON.stringify(offer));
  linkSync(join(work, `level-${LEVELS.best}`), join(job.objects, deltaObject(sha256)));
  const { stdout } = await run(process.execPath, [...agentFlags(), APPLY, JSON.stringify(job)]);
  return JSON.parse(stdout) as Applied;
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
