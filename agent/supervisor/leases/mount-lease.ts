import { mkdirSync } from 'node:fs';
import { runProgram } from '../runtime/run-program.ts';
import type { ServiceSpec } from '../service-spec.ts';

/**
 * A folder in memory for the one small file by which the service says that it is busy, at `folder`; writable by its
 * user alone. A tmpfs of its own: whatever the service fills it with, it fills nothing else.
 */
export async function mountLease(
  spec: ServiceSpec,
  folder: string,
  hostBase: number,
): Promise<string | undefined> {
  if (spec.update?.lease === undefined) return undefined;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const owner = `uid=${hostBase + spec.uid},gid=${hostBase + spec.gid}`;
  const options = `size=16k,nr_inodes=8,mode=700,${owner},nosuid,nodev,noexec`;
  await runProgram('mount', ['-t', 'tmpfs', '-o', options, 'wherry-lease', folder]);
  return folder;
}
