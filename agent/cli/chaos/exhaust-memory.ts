import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootId, identify } from '../../supervisor/runtime/process-identity.ts';
import { CliError } from '../errors.ts';
import type { ChaosBench } from './experiment.ts';
import { target } from './experiments.ts';

const MIB = 1024 ** 2;

/** A process within the service's own cgroup wants twice the service's memory: the kernel has to end one of them. */
export async function exhaustMemory(bench: ChaosBench): Promise<void> {
  const { name, pid } = target(bench);
  const folder = memoryCgroup(pid);
  if (folder === undefined)
    throw new CliError('chaos-failed', `Cannot exhaust the memory of "${name}": it has no memory cgroup`);
  const budget = bench.before.services.find((service) => service.name === name)?.budget.memoryMaxBytes ?? 0;
  const megabytes = Math.ceil((2 * budget) / MIB) + 16;
  // The shell waits until its number is noted; dd touches all of its one block before it writes it.
  const script = `read -r go && echo $$ > "${folder}/cgroup.procs" && exec dd if=/dev/zero of=/dev/null bs=${megabytes}M count=1`;
  const child = spawn('/bin/sh', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore'] });
  const ended = new Promise<string>((resolve) => {
    child.once('close', (code, signal) => resolve(signal ?? String(code)));
  });
  const identity = identify(child.pid ?? 0, bootId());
  if (identity) await bench.note({ kind: 'process', process: identity });
  child.stdin.end('go\n');
  const started = performance.now();
  const how = await ended;
  const ms = Math.round(performance.now() - started);
  const kills = bench.before.services.find((service) => service.name === name)?.oomKills ?? 0;
  if (how === 'SIGKILL')
    bench.check({ what: `the kernel ended what asked for ${megabytes} MiB within ${name}`, ok: true, ms });
  else
    await bench.until(
      `the kernel ended ${name} for want of memory`,
      ({ services }) =>
        services.some((seen) => seen.name === name && (seen.oomKills > kills || seen.pid !== pid)) ||
        undefined,
    );
}

/** cgroup v2, or the memory controller of v1. */
function memoryCgroup(pid: number): string | undefined {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(':'));
  const v1 = lines.find(([, controllers]) => controllers?.split(',').includes('memory'));
  const folders = [
    ...(v1?.[2] === undefined ? [] : [join('/sys/fs/cgroup/memory', v1[2])]),
    ...lines.flatMap(([id, , path]) =>
      id === '0' && path !== undefined ? [join('/sys/fs/cgroup', path)] : [],
    ),
  ];
  return folders.find(
    (folder) => existsSync(join(folder, 'memory.limit_in_bytes')) || existsSync(join(folder, 'memory.max')),
  );
}
