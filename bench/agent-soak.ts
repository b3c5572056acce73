// A life of the agent in minutes: restarts, kills, reports and reconnects as fast as they go, and what they leave in it.
import { readdirSync, readlinkSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { agentClient } from '../agent/cli/client.ts';
import { TcpTap } from '../test/support/tcp-tap.ts';
import { until } from '../test/support/until.ts';
import { type BenchDevice, updatedDevice } from './agent-device.ts';
import { type Bench, round } from './bench.ts';
import { memoryOf } from './process-cost.ts';

const SERVICES = 5;
const SOAK_MS = Number(process.env['SOAK_MS'] ?? 600_000);
/** What comes first fills caches and is no leak: this part of the time is not in the slope. */
const WARM_UP = 0.4;
const SAMPLE_MS = 1_000;
/** A session lives this long before it is cut; the link then waits for a second or more. */
const SESSION_MS = 4_000;
const SETTLE_MS = 15_000;
const CALL_MS = 10_000;
const MIB = 1024 * 1024;
/** A busy day: each service restarted hourly, a report a minute, the link lost hourly. */
const OPERATIONS_PER_DAY = 24 * SERVICES + 24 * 60 + 24;

interface Counts {
  restarts: number;
  reports: number;
  reconnects: number;
}

interface Sample {
  operations: number;
  rss: number;
}

export const bench: Bench = async () => {
  const soaked = await updatedDevice(`soak-${process.pid}`, SERVICES);
  const tap = await TcpTap.to(soaked.fleet.server.ports.mqtt);
  try {
    const { device, fleet } = soaked;
    // Through the tap from here on, so that its sessions can be cut.
    await device.stop();
    device.connectVia(tap.port);
    await device.start([soaked.program]);
    const pid = (await device.status()).agent.pid;
    await until(async () => (await device.status()).link.state === 'connected');
    await pause(SETTLE_MS);
    const before = handlesOf(pid);
    const counts = { restarts: 0, reports: 0, reconnects: 0 };
    const samples = await soak(soaked, tap, pid, counts);
    await until(async () => (await fleet.api('GET', `/devices/${device.id}`)).body.isOnline, {
      timeoutMs: 60_000,
    });
    await pause(SETTLE_MS);
    return result(counts, samples, { before, after: handlesOf(pid), rss: memoryOf(pid).rss });
  } finally {
    await tap.close();
    await soaked.close();
  }
};

async function soak(soaked: BenchDevice, tap: TcpTap, pid: number, counts: Counts): Promise<Sample[]> {
  const end = performance.now() + SOAK_MS;
  const goesOn = (): boolean => performance.now() < end;
  const samples: Sample[] = [];
  const sampling = async (): Promise<void> => {
    while (goesOn()) {
      const { restarts, reports, reconnects } = counts;
      samples.push({ operations: restarts + reports + reconnects, rss: memoryOf(pid).rss });
      await pause(SAMPLE_MS);
    }
  };
  await Promise.all([
    ...soaked.services.map((service) => restarting(soaked, service, counts, goesOn)),
    counting(soaked, counts, goesOn),
    reconnecting(soaked, tap, counts, goesOn),
    sampling(),
  ]);
  return samples;
}

/** Asks for a restart and waits until another process runs. */
async function restarting(
  { device }: BenchDevice,
  service: string,
  counts: Counts,
  goesOn: () => boolean,
): Promise<void> {
  const pidOf = async (): Promise<number | undefined> => (await device.pids())[service];
  while (goesOn()) {
    const pid = await pidOf();
    await agentClient(device.socket, AbortSignal.timeout(CALL_MS)).restart(service, { by: 'soak' });
    await until(async () => ![undefined, pid].includes(await pidOf()), { timeoutMs: 30_000, what: service });
    counts.restarts += 1;
  }
}

/** Reports as the server saw them: of those between two looks, the last. */
async function counting(
  { device, fleet }: BenchDevice,
  counts: Counts,
  goesOn: () => boolean,
): Promise<void> {
  let seen = '';
  while (goesOn()) {
    const { report } = (await fleet.api('GET', `/devices/${device.id}`)).body;
    const latest = JSON.stringify([report?.at, report?.sequence]);
    if (latest !== seen) counts.reports += 1;
    seen = latest;
    await pause(100);
  }
}

async function reconnecting(
  { device }: BenchDevice,
  tap: TcpTap,
  counts: Counts,
  goesOn: () => boolean,
): Promise<void> {
  const isConnected = async (): Promise<boolean> => (await device.status()).link.state === 'connected';
  while (goesOn()) {
    await pause(SESSION_MS);
    tap.cut();
    await until(async () => !(await isConnected()), { what: 'the link to be lost' });
    await until(isConnected, { timeoutMs: 60_000, what: 'the link to come back' });
    counts.reconnects += 1;
  }
}

/** Open files by what they are; numbers in names (sockets, pipes) say nothing. */
function handlesOf(pid: number): Record<string, number> {
  const kinds: Record<string, number> = {};
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const kind = readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/\d+/g, '#');
      kinds[kind] = (kinds[kind] ?? 0) + 1;
    } catch {
      // Closed since the folder was read.
    }
  }
  return kinds;
}

const sum = (kinds: Record<string, number>): number => Object.values(kinds).reduce((a, b) => a + b, 0);

const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Least squares, bytes per operation. */
function slopeOf(samples: Sample[]): number {
  const x = mean(samples.map(({ operations }) => operations));
  const y = mean(samples.map(({ rss }) => rss));
  const covariance = mean(samples.map(({ operations, rss }) => (operations - x) * (rss - y)));
  return covariance / mean(samples.map(({ operations }) => (operations - x) ** 2));
}

function result(
  counts: Counts,
  samples: Sample[],
  { before, after, rss }: { before: Record<string, number>; after: Record<string, number>; rss: number },
): Awaited<ReturnType<Bench>> {
  const steady = samples.slice(Math.floor(samples.length * WARM_UP));
  const perOperation = slopeOf(steady);
  const leaked = sum(after) - sum(before);
  const grown = Object.entries(after).filter(([kind, count]) => count > (before[kind] ?? 0));
  const metrics = {
    duration_s: round(SOAK_MS / 1000),
    ...counts,
    rss_mib_warm: round((steady[0]?.rss ?? 0) / MIB),
    rss_mib_end: round(rss / MIB),
    rss_slope_mib_per_1000_operations: round((1_000 * perOperation) / MIB),
    rss_slope_mib_per_day: round((OPERATIONS_PER_DAY * perOperation) / MIB),
    handles_before: sum(before),
    handles_leaked: leaked,
  };
  const rows: Record<string, Record<string, string | number>> = {
    operations: { ...counts },
    memory: {
      'MiB per 1,000 operations': metrics.rss_slope_mib_per_1000_operations,
      'MiB at the end': metrics.rss_mib_end,
    },
    handles: {
      leaked,
      grown: grown.map(([kind, count]) => `${kind} +${count - (before[kind] ?? 0)}`).join(', ') || 'none',
    },
  };
  return { rows, metrics };
}
