import { execFileSync, spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';

/** What Wherry may leave on a machine, as sorted lines: compare before and after. */
export interface MachineState {
  mounts: string[];
  cgroups: string[];
  loops: string[];
  namespaces: string[];
  rules: string;
  processes: string[];
}

export function machineState(): MachineState {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return {
    mounts: mounts.map((line) => line.split(' ')[4] ?? '').sort(),
    cgroups: [
      ...globSync('/sys/fs/cgroup/wherry-*/**/'),
      ...globSync('/sys/fs/cgroup/*/wherry-*/**/'),
    ].sort(),
    loops: execFileSync('losetup', ['--noheadings', '--output', 'BACK-FILE'], { encoding: 'utf8' })
      .split('\n')
      .sort(),
    namespaces: execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).split('\n').sort(),
    rules: spawnSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }).stdout ?? '',
    processes: containerProcesses(),
  };
}

/** Live conmons and what they hold; a zombie that init has yet to reap is no process of ours any more. */
function containerProcesses(): string[] {
  const lines = execFileSync('ps', ['-eo', 'stat=,args='], { encoding: 'utf8' }).split('\n');
  return lines
    .filter(
      (line) =>
        !line.startsWith('Z') &&
        /conmon|wherry-demo|demo\/main|dist\/agent\/main|fleet-server\/main/.test(line),
    )
    .sort();
}
