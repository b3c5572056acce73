// What the agent costs on a board with cgroup v2 alone: memory with five services and the link up, and the start of one
// container against bare crun there. The processor is emulated: ratios and memory mean something, milliseconds do not.
import { setTimeout as pause } from 'node:timers/promises';
import { BoardBench } from '../test/board/board-bench.ts';
import { until } from '../test/support/until.ts';
import { type Bench, median, round } from './bench.ts';

const SERVICES = ['one', 'two', 'three', 'four', 'five'];
const IDLER = ['/bin/sh', '-c', 'trap "exit 0" TERM; while true; do sleep 3600 & wait $!; done'];
const UPDATE_MS = 900_000;
/** After the switch: the bulk session has closed and the last progress was reported. */
const SETTLE_MS = 60_000;
const SAMPLES = 6;
const SAMPLE_MS = 10_000;
const STARTS_MS = 900_000;

interface Memory {
  rssMib: number;
  pssMib: number;
}

async function memoryOf(board: BoardBench, pid: string | number): Promise<Memory> {
  const text = await board.sh(`cat /proc/${pid}/smaps_rollup`);
  const mib = (field: string): number =>
    Number(new RegExp(`^${field}: +([0-9]+) kB`, 'm').exec(text)?.[1]) / 1024;
  return { rssMib: mib('Rss'), pssMib: mib('Pss') };
}

async function footprint(board: BoardBench) {
  const { agent } = await board.status();
  const samples: Memory[] = [];
  for (let index = 0; index < SAMPLES; index++) {
    await pause(SAMPLE_MS);
    samples.push(await memoryOf(board, agent.pid));
  }
  const monitors = (await board.sh('pgrep -x conmon')).split('\n');
  const conmons = await Promise.all(monitors.map((pid) => memoryOf(board, pid)));
  return {
    agent: {
      rssMib: median(samples.map(({ rssMib }) => rssMib)),
      pssMib: median(samples.map(({ pssMib }) => pssMib)),
    },
    conmon: {
      rssMib: median(conmons.map(({ rssMib }) => rssMib)),
      pssMib: median(conmons.map(({ pssMib }) => pssMib)),
    },
    services: conmons.length,
  };
}

async function starts(board: BoardBench): Promise<{ agent: number; crun: number }> {
  const output = await board.program('board-start-guest', STARTS_MS);
  const { agent, crun } = JSON.parse(output.split('\n').at(-1) ?? '') as Record<'agent' | 'crun', number[]>;
  return { agent: median(agent), crun: median(crun) };
}

export const bench: Bench = async () => {
  const board = await BoardBench.create([], ['bench/board-start-guest.ts']);
  try {
    await board.boot({ timeoutMs: 400_000 });
    await until(() => board.isOnline(), { timeoutMs: 400_000, what: 'the board to enrol' });
    await board.release(
      '1.0',
      Object.fromEntries(SERVICES.map((name) => [name, { args: IDLER, cpuMax: 0.3 }])),
    );
    await board.untilStatus('the release', ({ update }) => update.phase === 'committed', UPDATE_MS);
    await pause(SETTLE_MS);
    const { agent, conmon, services } = await footprint(board);
    const start = await starts(board);
    const metrics = {
      rss_mib: round(agent.rssMib),
      pss_mib: round(agent.pssMib),
      conmon_rss_mib: round(conmon.rssMib),
      conmon_pss_mib: round(conmon.pssMib),
      services,
      agent_start_ms: round(start.agent),
      crun_start_ms: round(start.crun),
      start_ratio_vs_crun: round(start.agent / start.crun),
    };
    return {
      rows: {
        agent: { 'RSS MiB': metrics.rss_mib, 'PSS MiB': metrics.pss_mib },
        'conmon, each': { 'RSS MiB': metrics.conmon_rss_mib, 'PSS MiB': metrics.conmon_pss_mib },
        'start, the agent': { 'median ms': metrics.agent_start_ms },
        'start, bare crun': { 'median ms': metrics.crun_start_ms },
      },
      metrics,
    };
  } finally {
    await board.close();
  }
};
