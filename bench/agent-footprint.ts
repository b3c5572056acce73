// What the agent costs a board: the demo's own server, release and device, in a folder and on ports of their own.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { NODE, ROOT } from '../scripts/setup.mjs';
import { type Bench, median, round } from './bench.ts';
import { childrenOf, commandOf, cpuSeconds, memoryOf } from './process-cost.ts';

const UP_MS = 400_000;
/** After the switch: the bulk session has closed and the last progress was reported. */
const SETTLE_MS = 20_000;
const IDLE_MS = 90_000;
const SAMPLE_MS = 5_000;

const MIB = 1024 * 1024;

/** `npm start` without npm; it resolves when the first release is committed. */
async function startDemo(dataDir: string): Promise<ChildProcess> {
  const args = ['demo/main.ts', '--port', String(await freePort()), '--data', dataDir];
  const demo = spawn(NODE, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => reject(new Error(`The demo is not up after ${UP_MS} ms:\n${output}`)),
    UP_MS,
  );
  demo.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (output.includes('Try next:')) resolve();
  });
  demo.once('exit', (code) => reject(new Error(`The demo ended with ${code}:\n${output}`)));
  try {
    await promise;
    return demo;
  } catch (error) {
    await stopDemo(demo);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function stopDemo(demo: ChildProcess): Promise<void> {
  if (demo.exitCode !== null || demo.signalCode !== null) return;
  const ended = new Promise((resolve) => demo.once('exit', resolve));
  demo.kill('SIGTERM');
  await ended;
}

/** The first of three free ports in a row. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port > 65_000 ? port - 1_000 : port;
}

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
  const dataDir = mkdtempSync(join(tmpdir(), 'wherry-footprint-'));
  let demo: ChildProcess | undefined;
  try {
    demo = await startDemo(dataDir);
    const config = join(dataDir, 'device/agent.json');
    const agent = childrenOf(demo.pid).find((pid) => commandOf(pid).includes(config));
    if (agent === undefined) throw new Error('Cannot find the agent among the processes of the demo');
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
    if (demo) await stopDemo(demo);
    rmSync(dataDir, { recursive: true, force: true });
  }
};
