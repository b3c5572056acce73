import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BlobFile, BuiltDelta } from '../../protocol/delta/build.ts';

export interface BuildJob {
  next: BlobFile;
  /** The likest of these is taken; none = the blob alone, compressed. */
  olds: BlobFile[];
  /** zstd's. */
  level: number;
  outPath: string;
  /** Nobody waits for it. */
  isSpare: boolean;
}

/** Makes deltas, far from the event loop. */
export interface DeltaBuilder {
  /** The file at `outPath` is whole when it resolves; after a rejection or an abort there may be a part of it. */
  build(job: BuildJob, signal: AbortSignal): Promise<BuiltDelta>;
}

const SCRIPT = join(import.meta.dirname, 'build-delta.ts');
const run = promisify(execFile);

/** One process for each delta: its memory goes with it, and it can be stopped at any time. */
export const processBuilder: DeltaBuilder = {
  build: async (job, signal) => {
    const { stdout } = await run(process.execPath, [SCRIPT, JSON.stringify(job)], {
      signal,
      killSignal: 'SIGKILL',
    });
    return JSON.parse(stdout) as BuiltDelta;
  },
};
