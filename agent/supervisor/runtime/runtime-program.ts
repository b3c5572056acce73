import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * crun up to 1.8 refuses a cgroup v1 machine that has a cgroup2 mount beside the controllers. It then gets a mount
 * namespace of its own without that mount.
 */
const HYBRID_WRAPPER = `#!/bin/sh
exec unshare --mount sh -c 'umount /sys/fs/cgroup/unified && exec "$0" "$@"' CRUN "$@"
`;

/** cgroup v1 controllers and a cgroup2 mount side by side, from the text of /proc/self/mountinfo. */
export const isHybrid = (mountinfo: string): boolean =>
  / \/sys\/fs\/cgroup\/unified .* - cgroup2 /.test(mountinfo) && / - cgroup .*\bmemory\b/.test(mountinfo);

/** The program to be started as the OCI runtime: conmon takes absolute paths only. */
export function runtimeProgram(runtime: 'crun' | 'runc', runDir: string): string {
  const program = findProgram(runtime);
  if (runtime !== 'crun' || !isHybrid(readFileSync('/proc/self/mountinfo', 'utf8'))) return program;
  mkdirSync(runDir, { recursive: true });
  const path = join(runDir, 'crun-without-cgroup2');
  writeFileSync(path, HYBRID_WRAPPER.replace('CRUN', program));
  chmodSync(path, 0o700);
  return path;
}

/** The runtime itself: enough for what does not touch cgroups, and some milliseconds quicker. */
export function findProgram(name: string): string {
  const folders = (process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin').split(delimiter);
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (found === undefined) {
    throw new Error(`Cannot run containers: ${name} is not installed; install the package "${name}"`);
  }
  return found;
}
