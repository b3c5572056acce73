import { existsSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { namesIn, readText } from '../../supervisor/health/small-file.ts';
import type { Patient } from '../check.ts';
import type { Host } from '../host.ts';
import type { Part } from './part.ts';

const TAIL_BYTES = 512 * 1024;
const CGROUP_FILE = /^(?:memory|cpu|cpuacct|pids|io|blkio|cgroup)\.[\w.]+$/;
const CGROUP_FILE_BYTES = 8 * 1024;

/** What the machine tells below the agent. */
export function machineParts({ host, config }: Patient): Part[] {
  return [
    commands(host, 'versions and system', [
      ['uname', '-a'],
      ['cat', '/etc/os-release', '/proc/cmdline', '/proc/version'],
      ['uptime'],
      ['crun', '--version'],
      ['conmon', '--version'],
      ['nft', '--version'],
    ]),
    commands(host, 'memory and pressure', [
      ['cat', '/proc/meminfo', '/proc/loadavg', '/proc/swaps'],
      ['grep', '-r', '', '/proc/pressure'],
    ]),
    commands(host, 'mounts and space', [
      ['cat', '/proc/self/mountinfo'],
      ['df', '-h'],
      ['df', '-i'],
    ]),
    commands(host, 'network', [
      ['ip', 'address'],
      ['ip', 'route'],
      ['ip', '-6', 'route'],
      ['ip', 'netns'],
      ['cat', '/etc/resolv.conf'],
      ['ss', '-lntu'],
      ['nft', 'list', 'ruleset'],
    ]),
    // By name: whatever else runs here keeps its arguments, which may hold anything, to itself.
    commands(host, 'processes', [['ps', '-eo', 'pid,ppid,stat,rss,etimes,comm', '--sort=-rss']]),
    { title: 'cgroups of services', keep: 'head', read: async () => cgroupsText(config.runDir) },
    { title: 'log of the agent', keep: 'tail', read: (signal) => agentLog(host, signal) },
    {
      title: 'log of the kernel',
      keep: 'tail',
      read: async (signal) => lastLines(await host.run('dmesg', [], signal)),
    },
    commands(host, 'journal of this boot, warnings', [
      ['journalctl', '--no-pager', '--boot', '--priority=warning', '--lines=500', '--utc'],
    ]),
  ];
}

/** One after the other, each with its command above it; one that fails leaves its reason. */
function commands(host: Host, title: string, lines: string[][]): Part {
  return {
    title,
    keep: 'head',
    read: async (signal) => {
      const parts: string[] = [];
      for (const [program = '', ...args] of lines) {
        const said = await host
          .run(program, args, signal)
          .catch((error: Error & { stdout?: string }) => `${error.stdout ?? ''}(${error.message})`);
        parts.push(`$ ${[program, ...args].join(' ')}\n${said.trimEnd()}`);
      }
      return parts.join('\n\n');
    },
  };
}

async function agentLog(host: Host, signal: AbortSignal): Promise<string> {
  const file = '/var/log/wherry-agent.log';
  if (existsSync(file)) return tailOf(file);
  const args = ['--no-pager', '--unit=wherry-agent', '--lines=2000', '--utc', '--output=short-iso'];
  return host.run('journalctl', args, signal);
}

/** From the first whole line on: a secret whose beginning is missing would not be recognised. */
async function tailOf(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - TAIL_BYTES);
    const buffer = Buffer.alloc(size - start);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, start);
    const text = buffer.toString('utf8', 0, bytesRead);
    return start === 0 ? text : text.slice(text.indexOf('\n') + 1);
  } finally {
    await file.close();
  }
}

const lastLines = (text: string): string => {
  const cut = text.length - TAIL_BYTES;
  return cut <= 0 ? text : text.slice(text.indexOf('\n', cut) + 1);
};

/** The files by which the kernel holds each container, as it has them now. */
function cgroupsText(runDir: string): string {
  const mounts = readText('/proc/self/mountinfo') ?? '';
  const parts = namesIn(join(runDir, 'services')).flatMap((service) => {
    const pid = readText(join(runDir, 'services', service, 'pid'))?.trim();
    const lines = (readText(`/proc/${pid}/cgroup`) ?? '').trim().split('\n');
    const folders = lines.flatMap((line) => folderOf(line, mounts) ?? []);
    return [...new Set(folders)].map((folder) => `# ${service}: ${folder}\n${filesText(folder)}`);
  });
  return parts.length ? parts.join('\n\n') : '(no container)';
}

/** Of "<id>:<controllers>:<path>" (cgroups(7)). */
function folderOf(line: string, mountinfo: string): string | undefined {
  const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
  const wanted = controllers === '' ? ' - cgroup2 ' : ` - cgroup `;
  const mount = mountinfo.split('\n').find((one) => {
    if (!one.includes(wanted)) return false;
    return controllers === '' || one.split(',').some((option) => controllers.split(',').includes(option));
  });
  const point = mount?.split(' ')[4];
  const isUseful = controllers === '' || /memory|cpu|pids|blkio/.test(controllers);
  return point !== undefined && isUseful ? join(point, path) : undefined;
}

const filesText = (folder: string): string =>
  namesIn(folder)
    .filter((name) => CGROUP_FILE.test(name))
    .map((name) => `${name}: ${contentOf(join(folder, name))}`)
    .join('\n');

/** Some are for writing only, or want a kernel option. */
function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim().slice(0, CGROUP_FILE_BYTES).replaceAll('\n', '\n  ');
  } catch {
    return '-';
  }
}
