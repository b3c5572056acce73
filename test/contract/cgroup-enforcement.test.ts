import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { blockDeviceOf } from '../../agent/supervisor/cgroup/block-device.ts';
import { cgroupLayout, openCgroups } from '../../agent/supervisor/cgroup/detect.ts';
import { kernelLogUsec, readOomKills } from '../../agent/supervisor/cgroup/oom-log.ts';
import { budgetDrift } from '../../agent/supervisor/core/budget.ts';
import type { Budget } from '../../agent/supervisor/ports.ts';
import { until } from '../support/until.ts';

const MIB = 1024 ** 2;
const BUDGET: Budget = { memoryMaxBytes: 16 * MIB, cpuMax: 1, pidsMax: 16 };
const TOTAL: Budget = { memoryMaxBytes: 48 * MIB, cpuMax: 2, pidsMax: 64 };
/** The kernel asks for 64 pages at once on each CPU, and counts them at the child before its parent refuses them. */
const BATCH = 64 * 4096 * cpus().length;
const layout = cgroupLayout(readFileSync('/proc/self/mountinfo', 'utf8'), (root) =>
  readFileSync(join(root, 'cgroup.controllers'), 'utf8').trim().split(' '),
);
const work = mkdtempSync(join(tmpdir(), 'wherry-budgets-'));
const hasDisk = blockDeviceOf(work) !== undefined;

const finish = async (child: ChildProcess): Promise<{ code: number | null; output: string }> => {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
};

describe(`the kernel holds (cgroup version ${layout.version})`, () => {
  const tree = openCgroups(`cge${process.pid}`, work);
  const started: ChildProcess[] = [];

  /** The service's folder in each hierarchy. */
  const folders = (service: string): string[] => {
    if (layout.version === 2) return [join(layout.root, tree.pathOf(service))];
    const mounts = layout.version === 1 ? layout.mounts : {};
    const names = ['memory', 'cpu', 'cpuacct', 'pids', 'cpuset', 'blkio'];
    return names.flatMap((name) => mounts[name] ?? []).map((mount) => join(mount, tree.pathOf(service)));
  };
  const fileOf = (service: string, v1: string, v2: string): string =>
    folders(service)
      .map((folder) => join(folder, layout.version === 2 ? v2 : v1))
      .find((path) => existsSync(path)) ?? expect.unreachable(`no ${v1}`);

  /** Runs a shell line inside the service's cgroups. */
  const run = (service: string, line: string): ChildProcess => {
    const enter = folders(service).map((folder) => `echo $$ > ${folder}/cgroup.procs`);
    const child = spawn('/bin/sh', ['-c', [...enter, line].join('\n')], { cwd: work });
    started.push(child);
    return child;
  };
  const open = async (service: string, budget: Budget): Promise<void> => {
    await tree.prepare(TOTAL);
    for (const folder of folders(service)) mkdirSync(folder, { recursive: true });
    await tree.apply(service, budget);
  };

  const drift = async (service: string): Promise<string[]> => {
    const held = await tree.read(service);
    if (held === undefined) throw new Error(`Service "${service}" has no cgroup`);
    return budgetDrift(BUDGET, held);
  };

  afterEach(async () => {
    await tree.remove('one');
    await tree.remove('two');
    await Promise.all(
      started.splice(0).map(async (child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')),
    );
    await tree.destroy();
  });
  afterAll(() => rmSync(work, { recursive: true, force: true }));

  test('a service to its memory, tells who was killed, and leaves the neighbour alone', async () => {
    const since = kernelLogUsec() - 1_000_000;
    await open('one', BUDGET);
    await open('two', BUDGET);
    const neighbour = run('two', 'exec sleep 1000');
    const { output } = await finish(run('one', 'head -c 200M /dev/zero | tail > /dev/null; echo $?'));
    expect(output).toContain('137');
    expect((await tree.usage('one'))?.oomKills).toBe(1);
    expect((await tree.usage('one'))?.memoryPeakBytes).toBeGreaterThan(15 * MIB);
    expect((await tree.usage('one'))?.memoryPeakBytes).toBeLessThanOrEqual(BUDGET.memoryMaxBytes);
    expect((await tree.usage('two'))?.oomKills).toBe(0);
    expect(neighbour.exitCode ?? neighbour.signalCode).toBeNull();
    if (!existsSync('/dev/kmsg')) return;
    const kill = readOomKills(since).find(({ cgroup }) => cgroup === tree.pathOf('one'));
    expect(kill).toMatchObject({ task: 'tail' });
    expect(Math.abs((kill?.at ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  test('the sum when the limit of one service was taken away, which is seen and repaired', async () => {
    await open('one', BUDGET);
    await open('two', BUDGET);
    const neighbour = run('two', 'exec sleep 1000');
    if (layout.version === 1) writeFileSync(fileOf('one', 'memory.memsw.limit_in_bytes', ''), '-1');
    writeFileSync(fileOf('one', 'memory.limit_in_bytes', 'memory.max'), layout.version === 1 ? '-1' : 'max');
    const { output } = await finish(run('one', 'head -c 200M /dev/zero | tail > /dev/null; echo $?'));
    expect(output).toContain('137');
    expect((await tree.usage('one'))?.memoryPeakBytes).toBeGreaterThan(BUDGET.memoryMaxBytes);
    expect((await tree.usage('one'))?.memoryPeakBytes).toBeLessThanOrEqual(TOTAL.memoryMaxBytes + BATCH);
    expect(neighbour.exitCode ?? neighbour.signalCode).toBeNull();
    expect(await drift('one')).toContain('memoryMaxBytes');
    await tree.apply('one', BUDGET);
    expect(await drift('one')).toEqual([]);
  });

  test.skipIf(layout.version !== 2)('a service above its high memory back, without killing it', async () => {
    await open('one', { ...BUDGET, memoryHighBytes: 8 * MIB });
    const eater = run('one', 'head -c 100M /dev/zero | tail > /dev/null');
    const events = async (): Promise<number> => (await tree.usage('one'))?.memoryHighEvents ?? 0;
    await until(async () => (await events()) > 2, { what: 'it to be held back' });
    expect((await tree.usage('one'))?.oomKills).toBe(0);
    expect(eater.exitCode ?? eater.signalCode).toBeNull();
  });

  test('a service to its CPUs', async () => {
    await open('one', { ...BUDGET, cpuset: '0' });
    const { output } = await finish(run('one', 'nproc; grep Cpus_allowed_list /proc/self/status'));
    expect(output).toMatch(/^1\nCpus_allowed_list:\s+0\n$/);
  });

  test('no CPUs that the board lacks: the budget is refused', async () => {
    await expect(open('one', { ...BUDGET, cpuset: '4000' })).rejects.toThrow('cpuset.cpus');
  });

  test('a service to its pids', async () => {
    await open('one', { ...BUDGET, pidsMax: 4 });
    const { output } = await finish(run('one', 'for i in 1 2 3 4 5 6; do sleep 0.2 & done; wait'));
    expect(output).toMatch(/fork|Resource temporarily unavailable/);
  });

  test.skipIf(!hasDisk)('a service to its writes, and counts them', async () => {
    await open('one', { ...BUDGET, io: { writeBps: MIB } });
    const from = performance.now();
    const { code } = await finish(run('one', 'dd if=/dev/zero of=direct bs=256k count=6 oflag=direct'));
    expect(code).toBe(0);
    expect(performance.now() - from).toBeGreaterThan(1000);
    expect((await tree.usage('one'))?.ioWrittenBytes).toBeGreaterThanOrEqual(1.5 * MIB);
  });

  test('a monitor to a tenth of a core, and removes it with its service', async () => {
    await open('one', BUDGET);
    const monitor = spawn('/bin/sh', ['-c', 'while :; do :; done']);
    started.push(monitor);
    await tree.holdMonitor('one', monitor.pid ?? 0);
    const stat = fileOf('one.monitor', 'cpu.stat', 'cpu.stat');
    await until(() => /nr_throttled [1-9]/.test(readFileSync(stat, 'utf8')), { what: 'it to be throttled' });
    await tree.remove('one');
    expect(existsSync(stat)).toBe(false);
    await until(() => monitor.signalCode === 'SIGKILL', { what: 'the monitor to end' });
  });

  test('a monitor that has ended is not an error', async () => {
    await open('one', BUDGET);
    const ended = spawn('/bin/true');
    await once(ended, 'exit');
    await expect(tree.holdMonitor('one', ended.pid ?? 0)).resolves.toBeUndefined();
  });
});
