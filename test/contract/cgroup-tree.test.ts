import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { CgroupV2 } from '../../agent/supervisor/cgroup/cgroup-v2.ts';
import { cgroupLayout, missingText, openCgroups } from '../../agent/supervisor/cgroup/detect.ts';
import { holdsBudget } from '../../agent/supervisor/core/budget.ts';
import { until } from '../support/until.ts';

const BUDGET = { memoryMaxBytes: 8 * 1024 ** 2, cpuMax: 0.25, pidsMax: 10 };
const TOTAL = { memoryMaxBytes: 64 * 1024 ** 2, cpuMax: 1.5, pidsMax: 100 };
const mountinfo = readFileSync('/proc/self/mountinfo', 'utf8');
const machine = cgroupLayout(mountinfo, (root) =>
  readFileSync(join(root, 'cgroup.controllers'), 'utf8').trim().split(' '),
);

describe(`the kernel's cgroups (version ${machine.version})`, () => {
  const instance = `cg${process.pid}`;
  const tree = openCgroups(instance);
  const folder = (service: string): string =>
    join(machine.version === 1 ? (machine.mounts['memory'] ?? '') : '/sys/fs/cgroup', tree.pathOf(service));
  const others = (service: string): string[] =>
    machine.version === 1
      ? ['cpu', 'cpuacct', 'pids'].map((name) => join(machine.mounts[name] ?? '', tree.pathOf(service)))
      : [];

  /** What an OCI runtime does before the budget is looked at. */
  const make = (service: string): void => {
    for (const path of [folder(service), ...others(service)]) mkdirSync(path, { recursive: true });
  };

  afterEach(async () => {
    await tree.remove('one');
    await tree.remove('two');
    await tree.destroy();
  });

  test('hold a budget and give it back', async () => {
    await tree.prepare(TOTAL);
    make('one');
    await tree.apply('one', BUDGET);
    const held = await tree.read('one');
    expect(held && holdsBudget(BUDGET, held)).toBe(true);
    await tree.apply('one', { ...BUDGET, memoryMaxBytes: 4 * 1024 ** 2 });
    expect((await tree.read('one'))?.memoryMaxBytes).toBe(4 * 1024 ** 2);
  });

  test('of a service that has none read as absent', async () => {
    await tree.prepare(TOTAL);
    expect(await tree.read('one')).toBeUndefined();
    expect(await tree.usage('one')).toBeUndefined();
    await tree.remove('one');
    expect(await tree.read('one')).toBeUndefined();
  });

  test('can be prepared again with less and with more', async () => {
    await tree.prepare(TOTAL);
    await tree.prepare({ ...TOTAL, memoryMaxBytes: TOTAL.memoryMaxBytes / 2 });
    await tree.prepare({ ...TOTAL, memoryMaxBytes: TOTAL.memoryMaxBytes * 2 });
    const parent = join(folder('one'), '..', machine.version === 1 ? 'memory.limit_in_bytes' : 'memory.max');
    expect(Number(readFileSync(parent, 'utf8'))).toBe(TOTAL.memoryMaxBytes * 2);
  });

  test('count what runs in them, keep destroy from it, and end it on removal', async () => {
    await tree.prepare(TOTAL);
    make('one');
    await tree.apply('one', BUDGET);
    const child = spawn('/bin/sleep', ['1000']);
    for (const path of [folder('one'), ...others('one')])
      writeFileSync(join(path, 'cgroup.procs'), String(child.pid));
    expect((await tree.usage('one'))?.pids).toBe(1);
    await expect(tree.destroy()).rejects.toThrow(`processes ${child.pid} run in it`);
    await tree.remove('one');
    await until(() => child.signalCode === 'SIGKILL', { what: 'the process to be killed' });
    expect(await tree.usage('one')).toBeUndefined();
  });
});

describe('cgroup v2 files', () => {
  const root = mkdtempSync(join(tmpdir(), 'wherry-cgroup2-'));
  const tree = new CgroupV2(root, 'x');
  const at = (...path: string[]): string => join(root, 'wherry-x/services', ...path);
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  test('are written and read in the words of the kernel', async () => {
    await tree.prepare(TOTAL);
    expect(readFileSync(join(root, 'cgroup.subtree_control'), 'utf8')).toBe('+cpu +memory +pids');
    expect(readFileSync(at('cpu.max'), 'utf8')).toBe('150000 100000');
    mkdirSync(at('one'));
    await tree.apply('one', BUDGET);
    expect(readFileSync(at('one/memory.max'), 'utf8')).toBe('8388608');
    expect(await tree.read('one')).toEqual(BUDGET);
    writeFileSync(at('one/memory.current'), '4096\n');
    writeFileSync(at('one/memory.events'), 'low 0\noom 3\noom_kill 2\noom_group_kill 0\n');
    writeFileSync(at('one/cpu.stat'), 'usage_usec 1234\nuser_usec 1\nthrottled_usec 55\n');
    writeFileSync(at('one/pids.current'), '3\n');
    expect(await tree.usage('one')).toEqual({
      memoryBytes: 4096,
      cpuUsec: 1234,
      pids: 3,
      throttledUsec: 55,
      oomKills: 2,
    });
  });
});

const v1 = (name: string): string => `33 31 0:30 / /sys/fs/cgroup/${name} rw - cgroup cgroup rw,${name}`;

describe('a machine', () => {
  const v2 = '30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate';

  test('with cgroup2 and its controllers is version 2', () => {
    expect(cgroupLayout(v2, () => ['cpu', 'memory', 'pids', 'io'])).toEqual({
      version: 2,
      root: '/sys/fs/cgroup',
    });
  });

  test('with the controllers in version 1 is version 1, joint mounts included', () => {
    const layout = cgroupLayout([v1('memory'), v1('cpu,cpuacct'), v1('pids'), v2].join('\n'), () => []);
    expect(layout).toMatchObject({ version: 1, mounts: { cpu: '/sys/fs/cgroup/cpu,cpuacct' } });
  });

  test('whose kernel has the memory controller off is told what to do', () => {
    const layout = cgroupLayout(v2, () => ['cpu', 'pids']);
    expect(layout).toEqual({ version: undefined, missing: ['memory'] });
    expect(missingText(['memory'])).toContain('cgroup_enable=memory');
  });
});
