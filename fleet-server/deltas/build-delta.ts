// The process that makes one delta: `node build-delta.ts <job as JSON>`; what was built comes out as JSON.
import { constants, setPriority } from 'node:os';
import { buildDelta } from '../../protocol/delta/build.ts';
import type { BuildJob } from './delta-builder.ts';

// Whoever waits for it waits for the server's answers all the more.
setPriority(constants.priority.PRIORITY_LOW);
const { next, olds, level, outPath } = JSON.parse(process.argv[2] ?? '') as BuildJob;
const server = process.ppid;
/** A server that was killed waits for nothing any more. */
const endWithServer = (): void => {
  if (process.ppid !== server) process.exit(1);
};
process.stdout.write(JSON.stringify(buildDelta(next, olds, level, outPath, endWithServer)));
