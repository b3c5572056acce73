// What the agent costs a board: a device with five services right after it fetched them, and idle with the link up.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { NODE } from '../scripts/setup.mjs';
import { updatedDevice } from './agent-device.ts';
import { type Bench, median, round } from './bench.ts';
import { childrenOf, commandOf, cpuSeconds, memoryOf } from './process-cost.ts';

const SERVICES = 5;
/** After the switch: the bulk session has closed and the last progress was reported. */
const SETTLE_MS = 20_000;
const IDLE_MS = Number(process.env['BENCH_IDLE_MS'] ?? 90_000);
const SAMPLE_MS = 5_000;

const MIB = 1024 * 1024;

/** Node that does nothing: what every agent on it starts from. */
async function bareNode(): Promise<number> {
  const node = spawn(NODE, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore' });
  try {
    await pause(2_000);
    return memoryOf(node.pid ?? 0).rss;
  } finally {
    node.kill('SIGKILL');
  }
}

function conmonsOf(device: string): number[] {
  const instance = (JSON.parse(readFileSync(device, 'utf8')) as { instance: string }).instance;
  // conmon leaves its parent, so it is known by the name it was given.
  return childrenOf(undefined).filter((pid) => {
    const words = commandOf(pid);
    return (
      words[0]?.endsWith('conmon') === true && words.some((word) => word.startsWith(`wherry-${instance}-`))
    );
  });
}

async function idle(agent: number) {
  const samples: { rss: number; pss: number }[] = [];
  const begin = performance.now();
  const cpuBefore = cpuSeconds(agent);
  while (performance.now() - begin < IDLE_MS) {
    await pause(SAMPLE_MS);
    samples.push(memoryOf(agent));
  }
  const elapsed = (performance.now() - begin) / 1000;
  return {
    rss: median(samples.map(({ rss }) => rss)),
    pss: median(samples.map(({ pss }) => pss)),
    growth: (samples.at(-1)?.rss ?? 0) - (samples[0]?.rss ?? 0),
    cpuPercent: (100 * (cpuSeconds(agent) - cpuBefore)) / elapsed,
  };
}

export const bench: Bench = async () => {
  // A board has none of its own; Node keeps each in memory.
  delete process.env['NODE_EXTRA_CA_CERTS'];
  const { device, pid: agent, close } = await updatedDevice(`footprint-${process.pid}`, SERVICES);
  try {
    const config = join(device.dir, 'agent.json');
    const fresh = memoryOf(agent);
    await pause(SETTLE_MS);
    const settled = await idle(agent);
    const conmons = conmonsOf(config).map(memoryOf);
    const bare = await bareNode();
    const mib = (bytes: number): number => round(bytes / MIB);
    const metrics = {
      rss_mib: mib(settled.rss),
      pss_mib: mib(settled.pss),
      rss_after_update_mib: mib(fresh.rss),
      rss_growth_mib: mib(settled.growth),
      idle_cpu_percent: round(settled.cpuPercent),
      conmon_rss_mib: mib(median(conmons.map(({ rss }) => rss))),
      conmon_pss_mib: mib(median(conmons.map(({ pss }) => pss))),
      services: conmons.length,
      bare_node_rss_mib: mib(bare),
      ratio_vs_bare_node: round(settled.rss / bare),
    };
    const rows = {
      agent: { 'RSS MiB': metrics.rss_mib, 'PSS MiB': metrics.pss_mib, 'CPU %': metrics.idle_cpu_percent },
      'agent right after the update': { 'RSS MiB': metrics.rss_after_update_mib, 'PSS MiB': mib(fresh.pss) },
      'conmon, each': { 'RSS MiB': metrics.conmon_rss_mib, 'PSS MiB': metrics.conmon_pss_mib },
      'bare Node': { 'RSS MiB': metrics.bare_node_rss_mib },
    };
    return { rows, metrics };
  } finally {
    await close();
  }
};
