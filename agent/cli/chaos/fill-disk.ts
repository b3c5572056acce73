import { open, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '../../supervisor/runtime/run-program.ts';
import type { ChaosBench } from './experiment.ts';

const LEAST_BYTES = 4096;

/** Fills the disk of the agent's state to its last block, in a file of its own beside it. */
export async function fillDisk({ stateDir, note, check, hold }: ChaosBench): Promise<void> {
  const path = join(stateDir, 'chaos-fill');
  await note({ kind: 'file', path });
  await (await open(path, 'w', 0o600)).close();
  let bytes = 0;
  // As root: the blocks that are kept for root too.
  const { bfree, bsize } = await statfs(stateDir);
  for (let step = bfree * bsize; step >= LEAST_BYTES; ) {
    const isTaken = await runProgram('fallocate', ['-o', String(bytes), '-l', String(step), path]).then(
      () => true,
      () => false,
    );
    if (isTaken) bytes += step;
    else step = Math.floor(step / 2);
  }
  check({ what: `the disk is full: ${Math.round(bytes / 1024 ** 2)} MiB were free`, ok: bytes > 0 });
  await hold('the agent answers and services run on a full disk');
}
