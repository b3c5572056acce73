import { existsSync, globSync, readFileSync } from 'node:fs';
import { ownedBy, presentLinks } from '../agent/supervisor/network/owned-links.ts';
import type { Layout } from './layout.ts';

/** What of this demo's device is still on the machine: mounts, cgroups, networks, processes. Empty after a clean stop. */
export function leftovers({ device }: Layout, instance: string): string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(device.runDir))
    .map((point) => `mount ${point}`);
  const cgroups = [`/sys/fs/cgroup/wherry-${instance}`, ...globSync(`/sys/fs/cgroup/*/wherry-${instance}`)]
    .filter((path) => existsSync(path))
    .map((path) => `cgroup ${path}`);
  const namespaces = globSync(`/run/netns/wherry-${instance}.*`).map((path) => `network namespace ${path}`);
  const links = [...presentLinks(ownedBy(instance))].map((name) => `network interface ${name}`);
  const processes = globSync('/proc/[0-9]*/cmdline')
    .filter((file) => isOfDevice(commandOf(file), device.runDir, instance))
    .map((file) => `process ${file.split('/')[2]}`);
  return [...mounts, ...cgroups, ...namespaces, ...links, ...processes];
}

/** Monitors and containers by their name, the name service by its folder. */
const isOfDevice = (command: string, runDir: string, instance: string): boolean =>
  command.includes(`wherry-${instance}-`) || command.includes(`${runDir}/network`);

function commandOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
