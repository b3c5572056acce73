import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ChannelsAnswer, PostMortemsAnswer } from '../../agent/local-api/answers.ts';
import type { AgentStatus } from '../../agent/local-api/ports.ts';
import type { PostMortem, PostMortemSummary } from '../../protocol/post-mortem.ts';
import { until } from '../support/until.ts';
import { BoardBench } from './board-bench.ts';

const MIB = 1024 ** 2;
const CGROUP = '/sys/fs/cgroup/wherry-agent/services';
const FOREVER = 'trap "exit 0" TERM; while :; do sleep 1 & wait $!; done';
/** Does what it is asked for by signal: eats memory, or fails. */
const OBEDIENT = `trap "exec tail /dev/zero" USR1; trap "exit 7" USR2; ${FOREVER}`;
const shell = (script: string) => ({ args: ['/bin/sh', '-c', script] });
const FULL = {
  memoryMaxBytes: 24 * MIB,
  memoryHighBytes: 20 * MIB,
  memoryMinBytes: 4 * MIB,
  cpuMax: 0.5,
  cpuWeight: 50,
  cpuset: '1',
  pidsMax: 12,
  io: { weight: 40, readBps: 3_000_000, writeBps: 1_000_000, readIops: 300, writeIops: 100 },
};
/** The third asks for a reboot when it fails. */
const SERVICES = {
  one: {
    ...shell(`(while :; do echo tick; sleep 1; done | wherry-ipc pub ticks) & ${FOREVER}`),
    change: { resources: FULL },
  },
  two: shell(`wherry-ipc sub ticks > /dev/null & ${OBEDIENT}`),
  three: { ...shell(OBEDIENT), restart: { maxAttempts: 1, whenExhausted: 'reboot' as const } },
};

/** An emulated board on a busy machine needs minutes for what takes it half a minute else: three starts of an agent. */
const SETTLE_MS = 400_000;

let bench: BoardBench;

const serviceOf = ({ services }: AgentStatus, name: string) => {
  const found = services.find((service) => service.name === name);
  if (found === undefined) throw new Error(`The agent has no service "${name}"`);
  return found;
};
const pidsOf = ({ services }: AgentStatus): Record<string, number | undefined> =>
  Object.fromEntries(services.map(({ name, pid }) => [name, pid]));
const isRunning = ({ services }: AgentStatus): boolean =>
  services.length === 3 && services.every(({ state }) => state === 'running');
const postMortems = async (): Promise<PostMortemSummary[]> =>
  (await bench.local<PostMortemsAnswer>('/v1/postmortems')).postmortems;
const agentPid = async (): Promise<number> => (await bench.status()).agent.pid;

const shown = (property: string): Promise<string> =>
  bench.sh(`systemctl show -p ${property} --value wherry-agent`);
/** It is the unit's own process, and has said to systemd that it is ready: until then the unit is activating. */
async function isReady({ agent }: AgentStatus): Promise<void> {
  expect([await shown('Type'), await shown('MainPID')]).toEqual(['notify', String(agent.pid)]);
  await until(async () => (await shown('ActiveState')) === 'active', { timeoutMs: 60_000, what: 'the unit' });
}
const programOf = ({ agent }: AgentStatus): Promise<string> =>
  bench.sh(`tr '\\0' '\\n' < /proc/${agent.pid}/cmdline | grep main.js`);
const settled = (phase: string, version: string): Promise<AgentStatus> =>
  bench.untilStatus(
    `${version} to be ${phase}`,
    ({ update }) => update.phase === phase && update.release?.version === version,
    SETTLE_MS,
  );

beforeAll(async () => {
  bench = await BoardBench.create([
    'cgroup-enforcement.test.ts',
    'cgroup-tree.test.ts',
    'channel-memory.test.ts',
    'supervisor-real.test.ts',
    'rootfs-erofs.test.ts',
  ]);
  await bench.boot();
}, 400_000);
afterAll(() => bench?.close());

describe('a board with a kernel that has cgroup v2 alone', () => {
  test('boots into an agent that systemd holds to be ready, and that enrols by itself', async () => {
    await until(() => bench.isOnline(), { timeoutMs: 120_000, what: 'the board to enrol' });
    expect(await bench.sh('systemctl show -p ActiveState --value wherry-agent')).toBe('active');
    expect(await bench.sh('grep -c " cgroup " /proc/mounts || :')).toBe('0');
    expect(await bench.sh('cat /sys/fs/cgroup/cgroup.controllers')).toMatch(/^cpuset cpu io memory .*pids/);
  });

  test('passes the contract of budgets that the other kernels pass', async () => {
    const results = await bench.contract(
      'the kernel holds|cgroups|every part|under budgets the kernel holds|in ids of its own|sixty-four layers|channel > is (there|filled|left)',
      300_000,
    );
    expect(results.filter(({ state }) => state !== 'passed')).toEqual([]);
    expect(results.length).toBeGreaterThan(19);
  });

  test('takes a signed release and holds each part of its budgets', async () => {
    await bench.release('1.0', SERVICES);
    const status = await bench.untilStatus(
      'the release to be committed',
      ({ update }) => update.phase === 'committed',
      120_000,
    );
    expect(serviceOf(status, 'one').degraded).toBeUndefined();
    const files = [
      'memory.max',
      'memory.high',
      'memory.min',
      'memory.swap.max',
      'cpu.max',
      'cpu.weight',
      'cpuset.cpus',
      'pids.max',
      'io.max',
      'io.bfq.weight',
    ];
    const held = (await bench.sh(files.map((file) => `head -n 1 ${CGROUP}/one/${file}`).join('; '))).split(
      '\n',
    );
    expect(Object.fromEntries(files.map((file, index) => [file, held[index]]))).toEqual({
      'memory.max': String(24 * MIB),
      'memory.high': String(20 * MIB),
      'memory.min': String(4 * MIB),
      'memory.swap.max': '0',
      'cpu.max': '50000 100000',
      'cpu.weight': '50',
      'cpuset.cpus': '1',
      'pids.max': '12',
      'io.max': expect.stringMatching(/ rbps=3000000 wbps=1000000 riops=300 wiops=100$/),
      'io.bfq.weight': 'default 40',
    });
    const { usage } = await bench
      .untilStatus('the first sample', (seen) => serviceOf(seen, 'one').usage?.memoryPressure !== undefined)
      .then((seen) => serviceOf(seen, 'one'));
    expect(usage?.cpuPressure).toBeDefined();
  });

  test('gives each service a user namespace, with its images mounted into its ids', async () => {
    const { pid } = serviceOf(await bench.status(), 'one');
    const map = (await bench.sh(`cat /proc/${pid}/uid_map`)).split(/\s+/);
    expect(map[0]).toBe('0');
    expect(Number(map[1])).toBeGreaterThanOrEqual(65_536);
    expect(await bench.sh(`stat -c %u /proc/${pid}/root/bin/busybox`)).toBe(map[1]);
  });

  test('carries messages from container to container, and none is torn', async () => {
    const taken = await until(
      async () => {
        const { channels } = await bench.local<ChannelsAnswer>('/v1/channels');
        return (channels[0]?.subscribers[0]?.received ?? 0) > 3 && channels[0];
      },
      { timeoutMs: 60_000, what: 'messages to be taken' },
    );
    expect(taken.fault).toBeUndefined();
    expect(taken.publishers[0]).toMatchObject({ service: 'one', isUp: true, epoch: 1 });
    expect(taken.subscribers[0]).toMatchObject({ service: 'two', isUp: true, torn: 0, overruns: 0 });
    // Of its own cgroup, all there from the beginning: meta has two pages of 4 KiB, the ring nine, the ack one.
    expect(taken.usedBytes).toBeGreaterThanOrEqual(12 * 4096);
    expect(taken.budgetBytes).toBeGreaterThanOrEqual(taken.usedBytes ?? 0);
  });

  test('kills what eats more than its memory, names it, keeps a post-mortem and restarts it', async () => {
    const before = pidsOf(await bench.status());
    await bench.sh(`kill -USR1 ${before['two']}`);
    const status = await bench.untilStatus(
      'the restart',
      (seen) => isRunning(seen) && serviceOf(seen, 'two').restarts > 0,
    );
    // On a slow board the kernel may kill a second process before the memory of the first is free.
    expect(serviceOf(status, 'two').oomKills).toBeGreaterThanOrEqual(1);
    expect(pidsOf(status)).toMatchObject({ one: before['one'], three: before['three'] });
    const kept = await postMortems();
    const found = await bench.local<PostMortem>(`/v1/postmortems/${kept[0]?.id}`);
    expect(found).toMatchObject({ service: 'two', oomKilled: { command: 'tail' } });
  });
});

describe('the agent as a unit of systemd', () => {
  test('is started again when it is killed outright, and takes over what runs', async () => {
    const before = pidsOf(await bench.status());
    const agent = await agentPid();
    await bench.sh(`kill -KILL ${agent}`);
    const status = await bench.untilStatus(
      'another agent',
      (seen) => seen.agent.pid !== agent && isRunning(seen),
    );
    expect(pidsOf(status)).toEqual(before);
    expect(serviceOf(status, 'one').reason.code).toBe('start.adopted');
    expect(await bench.sh('systemctl show -p NRestarts --value wherry-agent')).toBe('1');
  });

  test('keeps its own memory, and its services keep their controllers while systemd sorts its own', async () => {
    expect(await bench.sh('cat /sys/fs/cgroup/wherry-agent.service/memory.min')).toBe(String(48 * MIB));
    await bench.sh('systemctl daemon-reload && systemctl stop systemd-tmpfiles-clean.timer');
    expect(await bench.sh(`cat ${CGROUP}/one/cpuset.cpus`)).toBe('1');
  });

  test('is killed by the watchdog when it hangs, its services untouched', async () => {
    const before = pidsOf(await bench.status());
    const agent = await agentPid();
    await bench.sh(`kill -STOP ${agent}`);
    const status = await bench.untilStatus(
      'another agent',
      (seen) => seen.agent.pid !== agent && isRunning(seen),
      120_000,
    );
    expect(pidsOf(status)).toEqual(before);
    expect(await bench.sh('journalctl -u wherry-agent --no-pager')).toContain('Watchdog timeout');
  });
});

describe('a release that brings its agent, under systemd', () => {
  test('is run by it: the unit is ready, its watchdog is fed, no service has noticed', async () => {
    const before = pidsOf(await bench.status());
    await bench.release('1.1', SERVICES, { agent: { version: '9.0.0' } });
    const status = await settled('committed', '1.1');
    expect(await programOf(status)).toMatch(
      /^\/var\/lib\/wherry\/agent\/9\.0\.0-[0-9a-f]{12}\/dist\/agent\/main\.js$/,
    );
    await isReady(status);
    const first = await shown('WatchdogTimestampMonotonic');
    await until(async () => (await shown('WatchdogTimestampMonotonic')) !== first, {
      timeoutMs: 40_000,
      what: 'the watchdog to be fed',
    });
    expect(pidsOf(status)).toEqual(before);
  }, 600_000);

  test('goes back whole when that does not come up: the agent before runs, no service has noticed', async () => {
    const before = await bench.status();
    await bench.release('1.2', SERVICES, {
      agent: { version: '9.1.0', change: () => 'process.exit(3)' },
    });
    const status = await settled('rolled_back', '1.2');
    expect(status.current?.version).toBe('1.1');
    expect(status.update.reason?.message).toContain('its agent 9.1.0-');
    expect(await programOf(status)).toContain('/agent/9.0.0-');
    await isReady(status);
    expect(pidsOf(status)).toEqual(pidsOf(before));
  }, 600_000);
});

describe('a reboot', () => {
  test('that a failing service asks for is done once; post-mortems outlive it and its reason is known', async () => {
    const bootId = bench.board.bootId ?? '';
    const before = await bench.untilStatus('the services to run', isRunning);
    await bench.sh(`kill -USR2 ${pidsOf(before)['three']}`);
    await bench.board.rebooted(bootId, SETTLE_MS);
    const status = await bench.untilStatus('the services to run again', isRunning, SETTLE_MS);
    expect(status.health.boot).toMatchObject({ reason: 'requested' });
    const kept = await postMortems();
    expect(kept.map(({ service }) => service)).toEqual(expect.arrayContaining(['two', 'three']));
  }, 900_000);
});

const answerOf = async <T>(command: string, timeoutMs: number): Promise<T> =>
  JSON.parse((await bench.board.run(`wherry ${command} --json 2> /dev/null`, timeoutMs)).output) as T;

describe('the command line in the image', () => {
  test('finds nothing broken on the board', async () => {
    const { checks } = await answerOf<{ checks: { check: string; verdict: string }[] }>('doctor', 200_000);
    expect(checks.length).toBeGreaterThan(15);
    expect(checks.filter(({ verdict }) => verdict === 'fail')).toEqual([]);
  }, 300_000);

  test('cuts the power of a development board, and tells that it is whole again', async () => {
    const bootId = bench.board.bootId ?? '';
    // Its answer is lost with the power.
    bench.board.run('wherry chaos power-cut', 5_000).catch(() => undefined);
    await bench.board.rebooted(bootId, SETTLE_MS);
    const report = await answerOf<{ experiment: string; passed: boolean; checks: object[] }>(
      'chaos report --within 5m',
      330_000,
    );
    expect(report).toMatchObject({ experiment: 'power-cut', passed: true });
    expect(report.checks.length).toBeGreaterThan(0);
  }, 900_000);
});

describe('the agent under a plain init', () => {
  test('is started, kept up, and stopped with its services left running', async () => {
    await bench.sh('sync');
    await bench.board.cutPower();
    await bench.boot({ init: '/usr/lib/wherry/plain/init' });
    expect(await bench.sh('readlink /proc/1/exe')).toBe('/usr/bin/busybox');
    const status = await bench.untilStatus('the services to run', isRunning, SETTLE_MS);
    expect(status.health.boot).toMatchObject({ reason: 'lost-power' });
    expect(await bench.sh('/etc/init.d/wherry-agent status')).toBe('wherry-agent is running');
    await bench.sh(`kill -KILL ${status.agent.pid}`);
    const second = await bench.untilStatus(
      'another agent',
      (seen) => seen.agent.pid !== status.agent.pid && isRunning(seen),
      SETTLE_MS,
    );
    expect(pidsOf(second)).toEqual(pidsOf(status));
    await bench.sh('/etc/init.d/wherry-agent stop', 100_000);
    expect(await bench.sh('/etc/init.d/wherry-agent status || :')).toBe('wherry-agent is not running');
    await bench.sh(
      Object.values(pidsOf(status))
        .map((pid) => `kill -0 ${pid}`)
        .join(' && '),
    );
    await bench.sh('/etc/init.d/wherry-agent start');
    const third = await bench.untilStatus('the agent to take over', isRunning, SETTLE_MS);
    expect(pidsOf(third)).toEqual(pidsOf(status));
  }, 900_000);
});
