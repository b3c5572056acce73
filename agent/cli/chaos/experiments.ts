import { readFileSync } from 'node:fs';
import { changedProcesses } from '../core/chaos.ts';
import { CliError } from '../errors.ts';
import { cutNetwork } from './cut-network.ts';
import { exhaustMemory } from './exhaust-memory.ts';
import type { ChaosBench, Experiment } from './experiment.ts';
import { fillDisk } from './fill-disk.ts';

export const EXPERIMENTS = {
  'kill-service': killService,
  'kill-agent': killAgent,
  'fill-disk': fillDisk,
  'cut-network': cutNetwork,
  'exhaust-memory': exhaustMemory,
} satisfies Record<string, Experiment>;

async function killService(bench: ChaosBench): Promise<void> {
  const { name, pid } = target(bench);
  process.kill(pid, 'SIGKILL');
  await bench.until(
    `${name} runs again`,
    ({ services }) =>
      services.some((seen) => seen.name === name && seen.state === 'running' && seen.pid !== pid) ||
      undefined,
  );
}

async function killAgent(bench: ChaosBench): Promise<void> {
  const { before } = bench;
  if (!isAgent(before.agent.pid))
    throw new CliError(
      'chaos-failed',
      `Cannot kill the agent: process ${before.agent.pid} is no agent of ours`,
    );
  process.kill(before.agent.pid, 'SIGKILL');
  const after = await bench.until('the agent answers again', (status) =>
    status.agent.pid === before.agent.pid ? undefined : status,
  );
  if (after === undefined) return;
  const changed = changedProcesses(after, before);
  const detail = `${changed.join(', ')} did not`;
  bench.check({
    what: 'services kept their processes',
    ok: changed.length === 0,
    ...(changed.length > 0 && { detail }),
  });
}

/** The service that an experiment is about, with its process. Throws CliError when it does not run. */
export function target({ before, service = '' }: ChaosBench): { name: string; pid: number } {
  const found = before.services.find(({ name }) => name === service);
  if (found === undefined)
    throw new CliError('unknown-service', `Cannot find service "${service}": the agent does not know it`);
  const { name, pid } = found;
  if (pid === undefined || !isOf(name, pid))
    throw new CliError(
      'chaos-failed',
      `Cannot use service "${name}": it does not run in a container of its own`,
    );
  return { name, pid };
}

/** A number that is another's by now must not be killed. */
const isAgent = (pid: number): boolean => /agent\/main\.[jt]s/.test(readText(`/proc/${pid}/cmdline`));

const isOf = (service: string, pid: number): boolean =>
  readText(`/proc/${pid}/cgroup`)
    .split(/[/\n]/)
    .some((part) => part === service || part === `${service}.2`);

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
