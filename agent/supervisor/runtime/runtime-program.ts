import { accessSync, chmodSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, delimiter, isAbsolute, join } from 'node:path';

/** An OCI runtime as the device's configuration names it. */
export interface RuntimeConfig {
  /** A name on PATH or an absolute path. */
  program: string;
  /** Options before the command, for every call. */
  args?: string[] | undefined;
}

/** A runtime ready to be called. It is kept beside the container it made, which no other runtime may handle. */
export interface RuntimeProgram {
  /** For calls that touch cgroups. */
  program: string;
  /** The runtime itself: enough for the rest, and some milliseconds quicker. */
  plainProgram: string;
  args: string[];
}

export const DEBIAN_RUNTIMES: Record<string, RuntimeConfig> = {
  crun: { program: 'crun' },
  runc: { program: 'runc' },
};

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

/** The configured runtime of that name. Throws with `code` fail.runtime for one that this device does not have. */
export function openRuntime(
  runtimes: Record<string, RuntimeConfig>,
  name: string,
  runDir: string,
): RuntimeProgram {
  const config = Object.hasOwn(runtimes, name) ? runtimes[name] : undefined;
  if (config === undefined) {
    const known = Object.keys(runtimes).sort().join(', ');
    throw runtimeError(`Cannot use runtime "${name}": not configured on this device; known: ${known}`);
  }
  const { program, args = [] } = config;
  return { program: runtimeProgram(program, runDir), plainProgram: findProgram(program), args };
}

/** The program to be started as the OCI runtime: conmon takes absolute paths only. */
export function runtimeProgram(name: string, runDir: string): string {
  const program = findProgram(name);
  if (basename(program) !== 'crun' || !isHybrid(readFileSync('/proc/self/mountinfo', 'utf8'))) return program;
  mkdirSync(runDir, { recursive: true });
  const path = join(runDir, 'crun-without-cgroup2');
  const text = HYBRID_WRAPPER.replace('CRUN', program);
  // Written once only: a program that is being run cannot be written.
  if (readIfThere(path) !== text) {
    writeFileSync(path, text);
    chmodSync(path, 0o700);
  }
  return path;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Absolute path of a program that can be run. */
export function findProgram(name: string): string {
  const folders = (process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin').split(delimiter);
  const candidates = isAbsolute(name) ? [name] : folders.map((folder) => join(folder, name));
  const found = candidates.find(isExecutable);
  if (found !== undefined) return found;
  const what = isAbsolute(name) ? 'see the runtimes of the configuration' : `install the package "${name}"`;
  throw runtimeError(`Cannot run containers: ${name} is not installed; ${what}`);
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** An error that the supervisor reports under this reason. */
export const runtimeError = (message: string): Error =>
  Object.assign(new Error(message), { code: 'fail.runtime' as const });
