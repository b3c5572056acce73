import { existsSync, globSync, readFileSync } from 'node:fs';
import type { Layout } from './layout.ts';

/** What of this demo's device is still on the machine: mounts, cgroups, processes. Empty after a clean stop. */
export function leftovers({ device }: Layout, instance: string): string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(device.runDir))
    .map((point) => `mount ${point}`);
  const cgroups = [`/sys/fs/cgroup/wherry-${instance}`, ...globSync(`/sys/fs/cgroup/*/wherry-${instance}`)]
    .filter((path) => existsSync(path))
    .map((path) => `cgroup ${path}`);
  const processes = globSync('/proc/[0-9]*/cmdline')
    .filter((file) => commandOf(file).includes(`wherry-${instance}-`))
    .map((file) => `process ${file.split('/')[2]}`);
  return [...mounts, ...cgroups, ...processes];
}

function commandOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
