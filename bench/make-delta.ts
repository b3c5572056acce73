// Makes one delta in a process of its own, as the fleet server does: `node make-delta.ts <job as JSON>`.
import { type BlobFile, type BuiltDelta, buildDelta } from '../protocol/delta/build.ts';

export interface MakeJob {
  next: BlobFile;
  old: BlobFile;
  level: number;
  outPath: string;
}

export type MadeDelta = BuiltDelta & { cpuSeconds: number };

const { next, old, level, outPath } = JSON.parse(process.argv[2] ?? '') as MakeJob;
const cpu = process.cpuUsage();
const built = buildDelta(next, [old], level, outPath);
const { user, system } = process.cpuUsage(cpu);
const made: MadeDelta = { ...built, cpuSeconds: (user + system) / 1e6 };
console.log(JSON.stringify(made));
