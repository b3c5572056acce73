import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { blockDeviceOf } from '../../agent/supervisor/cgroup/block-device.ts';
import { CgroupV1 } from '../../agent/supervisor/cgroup/cgroup-v1.ts';
import { CgroupV2 } from '../../agent/supervisor/cgroup/cgroup-v2.ts';
import { cgroupLayout, openCgroups } from '../../agent/supervisor/cgroup/detect.ts';
import { budgetDrift, holdsBudget } from '../../agent/supervisor/core/budget.ts';
import type { Budget, CgroupTree } from '../../agent/supervisor/ports.ts';
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

const DISK = { id: '254:0', scheduler: 'bfq' };
const FULL: Budget = {
  ...BUDGET,
  memoryHighBytes: 6 * 1024 ** 2,
  memoryMinBytes: 1024 ** 2,
  swapMaxBytes: 2 * 1024 ** 2,
  cpuWeight: 37,
  cpuset: '0',
  io: { weight: 40, readBps: 3_000_000, writeBps: 1_000_000, readIops: 300, writeIops: 100 },
};

/** A folder in the shape of a cgroup2 mount; its files keep what is written. */
function cgroup2Folder(): string {
  const root = mkdtempSync(join(tmpdir(), 'wherry-cgroup2-'));
  writeFileSync(join(root, 'cgroup.controllers'), 'cpuset cpu io memory pids\n');
  const service = join(root, 'wherry-x/services/one');
  mkdirSync(service, { recursive: true });
  for (const folder of [service, dirname(service)]) writeFileSync(join(folder, 'memory.swap.max'), 'max\n');
  return root;
}

const fakeRoot = cgroup2Folder();
const realInstance = `cgb${process.pid}`;
const disk = blockDeviceOf(tmpdir());
const trees = [
  {
    name: 'cgroup v2',
    tree: new CgroupV2(fakeRoot, 'x', DISK) as CgroupTree,
    prepare: () => {},
    cleanUp: async () => rmSync(fakeRoot, { recursive: true, force: true }),
  },
  ...(machine.version === 1
    ? [
        {
          name: 'cgroup v1 of the kernel',
          tree: new CgroupV1(machine.mounts, realInstance, disk) as CgroupTree,
          prepare: () => {
            for (const name of ['memory', 'cpu', 'cpuacct', 'pids'])
              mkdirSync(join(machine.mounts[name] ?? '', `wherry-${realInstance}/services/one`), {
                recursive: true,
              });
          },
          cleanUp: async () => {
            await trees[1]?.tree.remove('one');
            await trees[1]?.tree.destroy();
          },
        },
      ]
    : []),
];

describe.each(trees)('every part of a budget, on $name,', ({ tree, prepare, cleanUp }) => {
  const held = async (): Promise<Budget> => (await tree.read('one')) ?? expect.unreachable('no cgroup');
  const drift = async (wanted: Budget): Promise<string[]> =>
    budgetDrift(wanted, await held(), tree.degraded(wanted));

  beforeAll(async () => {
    await tree.prepare({ ...TOTAL, swapMaxBytes: 8 * 1024 ** 2, memoryMinBytes: 1024 ** 2 });
    prepare();
  });
  afterAll(cleanUp);

  test('is held or named as degraded, and nothing is both unheld and unnamed', async () => {
    await tree.apply('one', FULL);
    expect(await drift(FULL)).toEqual([]);
    const named = tree.degraded(FULL).map(({ what }) => what);
    expect(budgetDrift(FULL, await held()).filter((part) => !named.includes(part))).toEqual([]);
  });

  test('is set again to the same without a change', async () => {
    await tree.apply('one', FULL);
    const before = await held();
    await tree.apply('one', FULL);
    expect(await held()).toEqual(before);
  });

  test('goes away when it is no longer asked for', async () => {
    await tree.apply('one', FULL);
    await tree.apply('one', BUDGET);
    expect(await drift(BUDGET)).toEqual([]);
    const { memoryHighBytes, memoryMinBytes, cpuWeight, io } = await held();
    expect([memoryHighBytes, memoryMinBytes, cpuWeight, io]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect((await held()).swapMaxBytes ?? 0).toBe(0);
  });

  test('is seen to drift, and is repaired by setting it again', async () => {
    await tree.apply('one', { ...FULL, cpuMax: 1, pidsMax: 11, cpuWeight: 200 });
    expect(await drift(FULL)).toEqual(['cpuMax', 'pidsMax', 'cpuWeight']);
    await tree.apply('one', FULL);
    expect(await drift(FULL)).toEqual([]);
  });
});

describe('cgroup v2 files', () => {
  const root = cgroup2Folder();
  const tree = new CgroupV2(root, 'x', DISK);
  const at = (...path: string[]): string => join(root, 'wherry-x/services', ...path);
  const text = (path: string): string => readFileSync(at(path), 'utf8');
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test('are written in the words of the kernel', async () => {
    await tree.prepare({ ...TOTAL, memoryMinBytes: 4096 });
    expect(readFileSync(join(root, 'cgroup.subtree_control'), 'utf8')).toBe('+cpu +memory +pids +io +cpuset');
    expect(text('cpu.max')).toBe('150000 100000');
    expect([text('memory.min'), text('../memory.min')]).toEqual(['4096', '4096']);
    await tree.apply('one', FULL);
    const files = ['memory.max', 'memory.high', 'memory.swap.max', 'cpu.weight', 'cpuset.cpus', 'pids.max'];
    expect(files.map((file) => text(`one/${file}`))).toEqual([
      '8388608',
      '6291456',
      '2097152',
      '37',
      '0',
      '10',
    ]);
    expect(text('one/io.max')).toBe('254:0 rbps=3000000 wbps=1000000 riops=300 wiops=100');
    expect(text('one/io.bfq.weight')).toBe('default 40');
  });

  test('tell what is used', async () => {
    const stall =
      'some avg10=1.50 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=0\n';
    const files = {
      'memory.current': '4096\n',
      'memory.peak': '8192\n',
      'memory.events': 'low 0\nhigh 7\nmax 1\noom 3\noom_kill 2\noom_group_kill 0\n',
      'cpu.stat': 'usage_usec 1234\nuser_usec 1\nthrottled_usec 55\n',
      'pids.current': '3\n',
      'io.stat': '7:0 rbytes=1 wbytes=1 rios=1 wios=1\n254:0 rbytes=100 wbytes=200 rios=1 wios=2\n',
      'cgroup.events': 'populated 1\nfrozen 0\n',
      'memory.pressure': stall,
    };
    for (const [file, content] of Object.entries(files)) writeFileSync(at('one', file), content);
    expect(await tree.usage('one')).toEqual({
      memoryBytes: 4096,
      memoryPeakBytes: 8192,
      memoryHighEvents: 7,
      cpuUsec: 1234,
      pids: 3,
      throttledUsec: 55,
      oomKills: 2,
      ioReadBytes: 100,
      ioWrittenBytes: 200,
      memoryPressure: { some: 1.5, full: 0.5 },
    });
  });

  test('hold a monitor beside its service, to a tenth of a core', async () => {
    await tree.holdMonitor('one', 4711);
    const files = ['cgroup.procs', 'cpu.max', 'memory.max', 'pids.max'];
    expect(files.map((file) => text(`one.monitor/${file}`))).toEqual([
      '4711',
      '10000 100000',
      String(16 * 1024 ** 2),
      '8',
    ]);
  });
});

const names = (tree: CgroupTree): string[] => tree.degraded(FULL).map(({ what }) => what);

describe('what cannot be held is named', () => {
  test('on cgroup v1', () => {
    const mounts = { memory: '/nowhere/m', cpu: '/nowhere/c', pids: '/nowhere/p' };
    const rates = ['io.weight', 'io.readBps', 'io.writeBps', 'io.readIops', 'io.writeIops'];
    expect(names(new CgroupV1(mounts, 'x', DISK))).toEqual([
      'memoryHighBytes',
      'memoryMinBytes',
      'cpuset',
      ...rates,
    ]);
    const all = { ...mounts, cpuset: '/nowhere/s', blkio: '/nowhere/b' };
    expect(names(new CgroupV1(all, 'x', { id: '254:0', scheduler: 'none' }))).toEqual([
      'memoryHighBytes',
      'memoryMinBytes',
      'io.weight',
      'io.writeBps',
      'io.writeIops',
    ]);
  });

  test('on cgroup v2', () => {
    const root = cgroup2Folder();
    expect(names(new CgroupV2(root, 'x', DISK))).toEqual([]);
    expect(names(new CgroupV2(root, 'x', { ...DISK, scheduler: 'none' }))).toEqual(['io.weight']);
    expect(names(new CgroupV2(root, 'x'))).toHaveLength(5);
    writeFileSync(join(root, 'cgroup.controllers'), 'cpu memory pids\n');
    expect(names(new CgroupV2(root, 'x', DISK))).toContain('cpuset');
    rmSync(root, { recursive: true });
  });
});
