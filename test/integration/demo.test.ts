import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentStatus } from '../../agent/local-api/ports.ts';
import { readOptions } from '../../demo/options.ts';
import { ServerClient } from '../../demo/server-client.ts';
import type { ChannelStatus } from '../../protocol/channel-status.ts';
import { wherry } from '../support/cli.ts';
import { Demo } from '../support/demo.ts';
import { type Traces, tracesOf } from '../support/machine.ts';
import { until } from '../support/until.ts';

const PORT = 17_440;
const MIB = 1024 ** 2;

const dataDir = await mkdtemp(join(tmpdir(), 'wherry-demo-'));
const options = readOptions(['--data', dataDir]);
const traces = (): Traces => tracesOf(options === 'help' ? '' : options.instance, dataDir);
const NOTHING: Traces = {
  mounts: [],
  cgroups: [],
  loops: [],
  namespaces: [],
  links: [],
  rules: [],
  processes: [],
};
let demo: Demo;

const status = async (): Promise<AgentStatus> =>
  JSON.parse((await wherry(['status', '--json'], { WHERRY_SOCKET: demo.socket })).stdout);
const pids = async (): Promise<Record<string, number>> =>
  Object.fromEntries((await status()).services.map(({ name, pid }) => [name, pid ?? 0]));

/** A limit as the kernel holds it for the cgroup of a process, on v1 or v2. */
function kernelLimit(pid: number, controller: string, v1File: string, v2File: string): string {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').split('\n');
  const v1 = lines.find((line) => line.split(':')[1]?.split(',').includes(controller));
  const path = (v1 ?? lines.find((line) => line.startsWith('0::')) ?? '').split(':').slice(2).join(':');
  return readFileSync(
    v1 ? `/sys/fs/cgroup/${controller}${path}/${v1File}` : `/sys/fs/cgroup${path}/${v2File}`,
    'utf8',
  ).trim();
}

interface Summary {
  at: number;
  cpuPercent: { count: number };
  readings: { received: number; lost: number };
  frames: { received: number; lost: number; spot: { x: number; y: number } };
}

/** Waits for a summary of samples that was written after this time. */
const summaryAfter = (time: number): Promise<Summary> =>
  until(
    async () => {
      const { stdout } = await wherry(['logs', 'analyser', '-n', '1'], { WHERRY_SOCKET: demo.socket });
      const summary: Summary = JSON.parse(/\{.*\}/.exec(stdout)?.[0] ?? '{}');
      return summary.at > time && summary.cpuPercent?.count > 0 && summary;
    },
    { timeoutMs: 30_000, what: 'a summary by the analyser' },
  );

const channels = async (): Promise<ChannelStatus[]> => {
  const { stdout } = await wherry(['ipc', 'ls', '--json'], { WHERRY_SOCKET: demo.socket });
  return (JSON.parse(stdout) as { channels: ChannelStatus[] }).channels;
};

/** What tells one making of a channel, and one start of its publisher, from another. */
const same = ({ name, since, publishers }: ChannelStatus) => [name, since, publishers[0]?.starts];

beforeAll(async () => {
  demo = new Demo(PORT, dataDir);
  await demo.ready();
}, 500_000);

afterAll(async () => {
  if (demo.child.exitCode === null) await demo.terminate();
  rmSync(dataDir, { recursive: true, force: true });
}, 120_000);

describe('npm start', () => {
  test('prints progress, the URL, a login, the device as a table and what to try next', () => {
    for (const words of [
      'Rolling out demo 1.0.0',
      `Web UI    ${demo.url}`,
      'admin / ',
      'analyser',
      'redis',
      'sensor',
      'running',
      'frames    lossy      4 x 1 MiB',
      'readings  reliable  16 x 4 KiB',
      'Try next:',
    ]) {
      expect(demo.output).toContain(words);
    }
  });

  test('the kernel holds each budget', async () => {
    for (const { pid = 0, budget } of (await status()).services) {
      expect(Number(kernelLimit(pid, 'memory', 'memory.limit_in_bytes', 'memory.max'))).toBe(
        budget.memoryMaxBytes,
      );
      expect(Number(kernelLimit(pid, 'pids', 'pids.max', 'pids.max'))).toBe(budget.pidsMax);
      expect(Number(kernelLimit(pid, 'cpu', 'cpu.cfs_quota_us', 'cpu.max').split(' ')[0])).toBe(
        budget.cpuMax * 100_000,
      );
    }
    expect((await status()).services.map(({ name }) => name)).toEqual(['analyser', 'redis', 'sensor']);
  });

  test('the kernel shows each service without rights, in namespaces of its own, on a read-only root', async () => {
    for (const pid of Object.values(await pids())) {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      expect(status).toMatch(/^Uid:\t[1-9]/m);
      expect(status).toMatch(/^NoNewPrivs:\t1$/m);
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
        expect(status).toMatch(new RegExp(`^${set}:\\t0+$`, 'm'));
      for (const namespace of ['pid', 'mnt', 'net', 'uts', 'ipc', 'cgroup'])
        expect(readlinkSync(`/proc/${pid}/ns/${namespace}`)).not.toBe(
          readlinkSync(`/proc/self/ns/${namespace}`),
        );
      const root = readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
        .split('\n')
        .find((line) => line.split(' ')[4] === '/');
      expect(root?.split(' ')[5]).toMatch(/^ro,/);
    }
  });

  test('the services started in order, are healthy, and only one segment joins them', async () => {
    const { services } = await status();
    expect(services.map(({ name, health }) => [name, health?.state])).toEqual([
      ['analyser', 'healthy'],
      ['redis', 'healthy'],
      ['sensor', undefined],
    ]);
    const why = await wherry(['why', 'analyser'], { WHERRY_SOCKET: demo.socket });
    expect(why.stdout).toContain('Waits for "redis" to be healthy');
    const inspected = await wherry(['inspect', 'redis'], { WHERRY_SOCKET: demo.socket });
    expect(inspected.stdout).toMatch(/^Segments +bus 10\.212\.\d+\.\d+, internal$/m);
    expect(inspected.stdout).toMatch(/^Loosenings +none$/m);
  });

  test('the services do their work: readings and pictures reach the analyser through shared memory', async () => {
    const { readings, frames } = await summaryAfter(Date.now());
    expect(readings.received).toBeGreaterThan(0);
    expect(frames.received).toBeGreaterThan(readings.received);
    // A radius of 384 around the middle.
    expect(Math.hypot(frames.spot.x - 512, frames.spot.y - 512)).toBeCloseTo(384, -1);
    expect(await channels()).toMatchObject([
      { name: 'frames', publishers: [{ service: 'sensor', isUp: true }], subscribers: [{ isUp: true }] },
      { name: 'readings', mode: 'reliable', subscribers: [{ service: 'analyser', isEvicted: false }] },
    ]);
    const [shown] = await channels();
    expect(shown?.publishers[0]?.bytes).toBe((shown?.publishers[0]?.messages ?? 0) * MIB);
  });

  test('what shall be kept is in redis: the samples, and what the analyser made of them', async () => {
    const { redis = 0 } = await pids();
    const length = (list: string): number => {
      const enter = ['--target', String(redis), '--net', '--mount'];
      const ask = ['/usr/bin/redis-cli', '--raw', 'LLEN', list];
      return Number(execFileSync('nsenter', [...enter, ...ask], { encoding: 'utf8' }));
    };
    expect(length('samples')).toBeGreaterThan(0);
    expect(length('summaries')).toBeGreaterThan(0);
  });

  test('a service that dies comes back with a reason', async () => {
    const { redis = 0 } = await pids();
    process.kill(redis, 'SIGKILL');
    await until(async () => ![0, redis].includes((await pids())['redis'] ?? 0), {
      timeoutMs: 20_000,
      what: 'another redis',
    });
    const why = await wherry(['why', 'redis'], { WHERRY_SOCKET: demo.socket });
    expect(why.stdout).toMatch(/SIGKILL|signal 9/);
    expect((await summaryAfter(Date.now())).readings.received).toBeGreaterThan(0);
  });

  test('kill -9 of the agent leaves the services untouched, and the next agent takes them over', async () => {
    const old = await status();
    const running = await pids();
    process.kill(old.agent.pid, 'SIGKILL');
    for (const pid of Object.values(running)) expect(() => process.kill(pid, 0)).not.toThrow();
    await until(
      async () => {
        const answer = await wherry(['status', '--json'], { WHERRY_SOCKET: demo.socket });
        return answer.code === 0 && (JSON.parse(answer.stdout) as AgentStatus).agent.pid !== old.agent.pid;
      },
      { timeoutMs: 30_000, what: 'another agent' },
    );
    await until(async () => (await status()).link.state === 'connected', {
      timeoutMs: 30_000,
      what: 'the link',
    });
    expect(await pids()).toEqual(running);
    expect((await status()).services.map(({ restarts }) => restarts)).toEqual(
      old.services.map(({ restarts }) => restarts),
    );
  });

  test('the server knows the device and its use against budget', async () => {
    const client = new ServerClient(demo.url);
    await client.signIn('admin', demo.password);
    const [device] = await client.devices();
    expect(device).toMatchObject({
      isOnline: true,
      services: { total: 3, running: 3 },
      current: { name: 'demo', version: '1.0.0' },
    });
    await until(
      async () => {
        const { report } = await client.device(device?.id ?? '');
        return report?.services.every(({ usage }) => (usage?.memoryBytes ?? 0) > MIB);
      },
      { timeoutMs: 30_000, what: 'the use of every service' },
    );
  });

  test('version 2: only what is lacking is fetched, only the changed service restarts', async () => {
    const running = await pids();
    const before = await channels();
    const client = new ServerClient(demo.url);
    await client.signIn('admin', demo.password);
    const [device] = await client.devices();
    const release = (await client.releases()).find(({ version }) => version === '2.0.0');
    const rollout = await client.startRollout(release?.id ?? '', [device?.id ?? '']);
    const ended = await until(
      async () => {
        const now = await client.rollout(rollout.id);
        return now.state === 'completed' && now;
      },
      { timeoutMs: 60_000, what: 'the rollout to complete' },
    );
    expect(ended.attempts[0]).toMatchObject({ state: 'committed' });
    const { report } = await client.device(device?.id ?? '');
    const progress = report?.update.progress;
    expect(progress?.reusedBytes).toBeGreaterThan(50 * MIB);
    expect(progress?.totalBytes).toBeLessThan(MIB);
    const after = await pids();
    expect({ redis: after['redis'], sensor: after['sensor'] }).toEqual({
      redis: running['redis'],
      sensor: running['sensor'],
    });
    expect(after['analyser']).not.toBe(running['analyser']);
    expect((await status()).current).toMatchObject({ version: '2.0.0' });
    expect((await channels()).map(same)).toEqual(before.map(same));
    // The new analyser goes on where the old one ended, with the minute before from redis.
    const { cpuPercent, frames } = await summaryAfter(Date.now());
    expect(cpuPercent.count).toBeGreaterThan(10);
    expect(frames.received).toBeGreaterThan(0);
  });

  test('a second demo in the same folder, or on the same port, says what to do', async () => {
    const samePort = new Demo(PORT, `${dataDir}-other`);
    await expect(samePort.ready(30_000)).rejects.toThrow(
      `Cannot listen on 127.0.0.1:${PORT}: the port is in use; stop what holds it`,
    );
    const sameFolder = new Demo(PORT + 10, dataDir);
    await expect(sameFolder.ready(30_000)).rejects.toThrow(
      /a demo runs there already as process \d+; stop it, or give another folder/,
    );
    rmSync(`${dataDir}-other`, { recursive: true, force: true });
  });

  test('Ctrl-C leaves nothing behind', async () => {
    expect(Object.entries(traces()).filter(([, found]) => found.length === 0)).toEqual([]);
    expect(await demo.interrupt()).toBe(0);
    expect(traces()).toEqual(NOTHING);
  });

  test('the second start goes on where the first ended; SIGTERM leaves nothing behind', async () => {
    demo = new Demo(PORT, dataDir);
    await demo.ready(60_000);
    expect(demo.output).not.toContain('Building, signing and pushing');
    expect(demo.output).not.toContain('Rolling out');
    expect((await status()).current).toMatchObject({ version: '2.0.0' });
    await demo.terminate();
    await until(() => traces().processes.length === 0, {
      timeoutMs: 60_000,
      what: 'the last process to end',
    });
    expect(traces()).toEqual(NOTHING);
  });

  test('kill -9 of the demo leaves nothing behind either', async () => {
    demo = new Demo(PORT, dataDir);
    await demo.ready(60_000);
    process.kill(Number(readFileSync(join(dataDir, 'demo.pid'), 'utf8')), 'SIGKILL');
    await until(() => traces().processes.length === 0, {
      timeoutMs: 60_000,
      what: 'the last process to end',
    });
    expect(traces()).toEqual(NOTHING);
  });
});

test('a port that something else holds is named before anything is started', async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(PORT + 21, '127.0.0.1', resolve));
  const blocked = new Demo(PORT + 20, join(dataDir, 'blocked'));
  await expect(blocked.ready(30_000)).rejects.toThrow(
    `Cannot listen on 127.0.0.1:${PORT + 21}: the port is in use`,
  );
  holder.close();
});
