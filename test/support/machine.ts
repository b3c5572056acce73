import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { ownedBy, presentLinks } from '../../agent/supervisor/network/owned-links.ts';

/** What is on the machine of one agent, by kind: whatever bears the name of its instance or of its folder. */
export interface Traces {
  mounts: string[];
  cgroups: string[];
  loops: string[];
  namespaces: string[];
  links: string[];
  rules: string[];
  processes: string[];
}

export function tracesOf(instance: string, dir: string): Traces {
  const isOurs = (line: string): boolean => line.includes(instance) || line.includes(dir);
  const owned = ownedBy(instance);
  return {
    mounts: readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter(isOurs),
    cgroups: [
      ...globSync('/sys/fs/cgroup/wherry-*/**/'),
      ...globSync('/sys/fs/cgroup/*/wherry-*/**/'),
    ].filter(isOurs),
    loops: linesOf('losetup', '--noheadings', '--output', 'BACK-FILE').filter(isOurs),
    namespaces: globSync('/run/netns/*').filter(isOurs),
    links: [...presentLinks(owned)],
    rules: linesOf('nft', 'list', 'tables').filter((line) => line.endsWith(` ${owned.table}`)),
    // A zombie that init has yet to reap is no process of ours any more.
    processes: linesOf('ps', '-eo', 'stat=,args=').filter((line) => !line.startsWith('Z') && isOurs(line)),
  };
}

const linesOf = (program: string, ...args: string[]): string[] =>
  execFileSync(program, args, { encoding: 'utf8' }).split('\n');
