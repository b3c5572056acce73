// The process that makes one delta: `node build-delta.ts <job as JSON>`; what was built comes out as JSON.
import { constants, setPriority } from 'node:os';
import { buildDelta } from '../../protocol/delta/build.ts';
import type { BuildJob } from './delta-builder.ts';

const { next, olds, level, outPath, isSpare } = JSON.parse(process.argv[2] ?? '') as BuildJob;
const { PRIORITY_LOW, PRIORITY_BELOW_NORMAL } = constants.priority;
// The server's answers come first in any case.
setPriority(isSpare ? PRIORITY_LOW : PRIORITY_BELOW_NORMAL);
const server = process.ppid;
/** A server that was killed waits for nothing any more. */
const endWithServer = (): void => {
  if (process.ppid !== server) process.exit(1);
};
process.stdout.write(JSON.stringify(buildDelta(next, olds, level, outPath, endWithServer)));
