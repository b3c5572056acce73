// What a well-behaved neighbour feels of an attack: latency of a small HTTP service alone and beside a service that
// attacks CPU, memory, disk, io, pids or logs, under the agent and, where it is installed, under docker with the same limits.
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../test/support/free-port.ts';
import { realSupervisor } from '../test/support/real-supervisor.ts';
import { serviceSpec } from '../test/support/service-specs.ts';
import { tinyImage } from '../test/support/tiny-image.ts';
import { until } from '../test/support/until.ts';
import { type Bench, round } from './bench.ts';
import { importImage, openDocker } from './docker-engine.ts';

const ATTACKS = {
  cpu: 'for i in 1 2 3 4; do (while :; do :; done) & done; wait',
  memory: 'while :; do tail /dev/zero; done',
  disk: 'while :; do dd if=/dev/zero of=/fill bs=1M count=64; done 2>/dev/null',
  io: 'while :; do dd if=/dev/zero of=/io bs=4k count=256 conv=fsync; done 2>/dev/null',
  pids: 'bomb() { bomb | bomb & }; bomb; while :; do :; done',
  logs: 'yes floodfloodfloodfloodfloodfloodfloodfloodflood',
} as const;
type Attack = keyof typeof ATTACKS;

const REQUESTS = 400;
const PAUSE_MS = 5;
/** From the start of an attack to the first request that counts. */
const RISE_MS = 1_000;

/** A way to run the victim and an attacker. */
interface Host {
  name: string;
  begin(port: number): Promise<void>;
  attack(script: string): Promise<void>;
  calm(): Promise<void>;
  end(): Promise<void>;
}

async function underAgent(dir: string): Promise<Host> {
  const image = await tinyImage();
  const { supervisor } = realSupervisor(dir, `iso${process.pid}`, image.blobDir);
  const service = (name: string, script: string, extra: object = {}) =>
    serviceSpec(name, { layers: [image.verity], args: ['/bin/sh', '-c', script], ...extra });
  let victim: ReturnType<typeof service> | undefined;
  let generation = 0;
  const apply = (...attackers: ReturnType<typeof service>[]): void => {
    generation += 1;
    const services = [...(victim ? [victim] : []), ...attackers];
    supervisor.apply({ release: { name: 'isolation', version: '1', generation }, services });
  };
  const isGone = () => !supervisor.statuses().some(({ name }) => name === 'attacker');
  supervisor.start();
  return {
    name: 'agent',
    begin: async (port) => {
      victim = service('victim', `exec httpd -f -p 127.0.0.1:${port} -h /etc`, { network: 'host' });
      apply();
    },
    attack: async (script) =>
      apply(
        service('attacker', script, {
          security: { readOnlyRoot: false, capabilities: [] },
          stop: { signal: 'SIGTERM', graceMs: 100 },
        }),
      ),
    calm: async () => {
      apply();
      await until(isGone, { timeoutMs: 30_000, what: 'the attacker to be gone' });
    },
    end: () => supervisor.stop({ services: 'stop' }),
  };
}

async function underDocker(dir: string): Promise<Host | undefined> {
  const engine = await openDocker(dir);
  if (engine === undefined) return undefined;
  const image = `wherry-iso-${process.pid}`;
  importImage(engine, (await tinyImage()).folder, image, dir);
  const limits = ['--memory=16m', '--memory-swap=16m', '--pids-limit=16', '--cpus=0.5'];
  const run = (name: string, network: string, script: string) =>
    engine.docker(
      'run',
      '-d',
      '--name',
      name,
      `--network=${network}`,
      ...limits,
      image,
      '/bin/sh',
      '-c',
      script,
    );
  return {
    name: 'docker',
    begin: async (port) => void run('victim', 'host', `exec httpd -f -p 127.0.0.1:${port} -h /etc`),
    attack: async (script) => void run('attacker', 'none', script),
    calm: async () => void engine.docker('rm', '-f', 'attacker'),
    end: async () => {
      engine.docker('rm', '-f', 'victim');
      await engine.stop();
    },
  };
}

/** Milliseconds of each request, sorted; one that fails counts as the time-out. */
async function measure(port: number): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < REQUESTS; n++) {
    const begin = performance.now();
    await ask(port);
    times.push(performance.now() - begin);
    await pause(PAUSE_MS);
  }
  return times.sort((a, b) => a - b);
}

const ask = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const call = request({ port, path: '/', timeout: 5_000, agent: false }, (answer) => {
      answer.resume().on('end', () => resolve(true));
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(false));
    call.end();
  });

const p99 = (times: number[]): number => times[Math.floor(times.length * 0.99)] ?? 0;
const p50 = (times: number[]): number => times[Math.floor(times.length / 2)] ?? 0;

async function measureHost(host: Host): Promise<Map<string, number[]>> {
  const port = await freePort();
  const results = new Map<string, number[]>();
  await host.begin(port);
  await until(() => ask(port), { what: 'the victim to answer' });
  await measure(port);
  results.set('alone', await measure(port));
  for (const [name, script] of Object.entries(ATTACKS)) {
    await host.attack(script);
    await pause(RISE_MS);
    results.set(name, await measure(port));
    await host.calm();
  }
  await host.end();
  return results;
}

export const bench: Bench = async () => {
  const dir = mkdtempSync(join(tmpdir(), 'wherry-isolation-'));
  const rows: Record<string, Record<string, string | number>> = {};
  const metrics: Record<string, number> = {};
  try {
    for (const open of [underAgent, underDocker]) {
      const host = await open(dir);
      if (host === undefined) continue;
      const results = await measureHost(host);
      const alone = p99(results.get('alone') ?? []);
      for (const [attack, times] of results) {
        rows[`${host.name} ${attack}`] = { 'p50 ms': round(p50(times)), 'p99 ms': round(p99(times)) };
        metrics[`${host.name}_${attack}_p99_ms`] = round(p99(times));
        if (attack !== 'alone') metrics[`${host.name}_${attack}_p99_vs_alone`] = round(p99(times) / alone);
      }
    }
    for (const attack of Object.keys(ATTACKS) as Attack[]) {
      const [ours, theirs] = [metrics[`agent_${attack}_p99_ms`], metrics[`docker_${attack}_p99_ms`]];
      if (ours !== undefined && theirs !== undefined)
        metrics[`${attack}_p99_vs_docker`] = round(ours / theirs);
    }
    return { rows, metrics };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
};
