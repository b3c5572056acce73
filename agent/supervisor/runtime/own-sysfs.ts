import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { readMounts } from '../images/mount-table.ts';
import { runProgram } from './run-program.ts';

/** A read-only sysfs with nothing mounted below it, for services that may not mount one. Idempotent. */
export async function ownSysfs(runDir: string): Promise<string> {
  const path = join(runDir, 'sysfs');
  if (readMounts(runDir).some(({ point }) => point === path)) return path;
  mkdirSync(path, { recursive: true });
  await runProgram('mount', ['-t', 'sysfs', '-o', 'ro,nosuid,nodev,noexec', 'wherry-sysfs', path]);
  return path;
}
