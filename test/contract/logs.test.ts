import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { hasSwapAccounting, openCgroups } from '../../agent/supervisor/cgroup/detect.ts';
import { LEFT_LOG_LIMITS } from '../../agent/supervisor/logs/core/left-logs.ts';
import { LogKeeper } from '../../agent/supervisor/logs/log-keeper.ts';
import { LogPump, SPOOL_BYTES } from '../../agent/supervisor/logs/log-pump.ts';
import { readLog } from '../../agent/supervisor/logs/read-log.ts';
import { ConmonRuntime } from '../../agent/supervisor/runtime/conmon.ts';
import type { ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import { serviceSpec } from '../support/service-specs.ts';
import { type TinyImage, tinyImage } from '../support/tiny-image.ts';
import { until } from '../support/until.ts';

const dir = mkdtempSync(join(tmpdir(), 'wherry-logs-'));
const spoolDir = join(dir, 'run/logs');
const logsDir = join(dir, 'logs');
const instance = `t${process.pid}logs`;
const cgroups = openCgroups(instance);
const dropped: [string, number][] = [];
let image: TinyImage;
let now = 0;
let pump: LogPump;

const runtime = new ConmonRuntime({
  runtime: 'crun',
  instance,
  runDir: join(dir, 'run'),
  logsDir: spoolDir,
  logMaxBytes: SPOOL_BYTES,
  cgroupsPath: (service) => cgroups.pathOf(service),
  volumePath: () => dir,
  hasSwapAccounting: hasSwapAccounting(),
  beforeStart: (spec) => pump.begin(spec),
});
const openPump = (logs = logsDir): LogPump =>
  new LogPump({
    spoolDir,
    logsDir: logs,
    monitorWritten: (service) => runtime.monitorWritten(service),
    onDropped: (service, bytes) => dropped.push([service, bytes]),
    now: () => now,
  });

beforeAll(async () => {
  image = await tinyImage();
  pump = openPump();
});
afterEach(async () => {
  for (const { service } of await runtime.observe()) {
    await runtime.remove(service);
    await cgroups.remove(service);
    pump.forget(service);
  }
});
afterAll(async () => {
  pump.stop();
  await cgroups.destroy();
  rmSync(dir, { recursive: true, force: true });
});

/** Says something, then lives on, so that its monitor can be asked. */
const talker = (name: string, script: string, parts: Partial<ServiceSpec> = {}): ServiceSpec =>
  serviceSpec(name, {
    args: ['/bin/sh', '-c', `${script}; exec sleep 1000`],
    ...parts,
    resources: { memoryMaxBytes: 32 * 1024 ** 2, cpuMax: 1, pidsMax: 16, ...parts.resources },
  });
const start = (spec: ServiceSpec) => runtime.start(spec, { rootfs: image.folder }, async () => undefined);
const second = (): void => {
  now += 1000;
  pump.tick();
};
async function texts(service: string, logs = logsDir): Promise<string[]> {
  const found: string[] = [];
  const options = { tail: 10_000, follow: false, signal: new AbortController().signal };
  for await (const { text } of readLog(join(logs, service), options)) found.push(text);
  return found;
}
const bytesIn = (folder: string): number =>
  readdirSync(folder).reduce(
    (sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
const hasSaid = (service: string, text: string) =>
  until(
    async () => {
      second();
      return (await texts(service)).includes(text);
    },
    { what: `${service} to have said "${text}"` },
  );

test('a flood is bounded on disk and in memory, counted and told, and its first lines are kept', async () => {
  const script =
    'echo the very first; seq 1000000 1007000000 | dd bs=64k count=800 iflag=fullblock; echo the last';
  await start(
    talker('flood', script, { resources: { logs: { sizeBytes: 1 << 20, rateBytes: 65_536 } } as never }),
  );
  const spool = join(spoolDir, 'flood.log');
  await until(
    () => {
      second();
      expect(bytesIn(join(logsDir, 'flood'))).toBeLessThanOrEqual((1 << 20) + 64);
      expect(bytesIn(spoolDir)).toBeLessThanOrEqual(SPOOL_BYTES + 1024);
      return existsSync(spool) && readFileSync(spool, 'utf8').includes('the last\n');
    },
    { what: 'the flood to end', timeoutMs: 30_000 },
  );
  await hasSaid('flood', 'the last');
  const said = await texts('flood');
  const early = readdirSync(join(logsDir, 'flood')).find((name) => name.endsWith('.early.log')) ?? '';
  expect(readFileSync(join(logsDir, 'flood', early), 'utf8')).toMatch(
    /^\S+ run F\n\S+ stdout F the very first\n/,
  );
  expect(said.some((text) => /^wherry: \d+ bytes dropped$/.test(text))).toBe(true);
  const numbers = said.map(Number).filter((number) => number > 0);
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  // 50 MiB in lines of eight bytes or nine, before each of which conmon writes 45 bytes of its own.
  expect(pump.stats('flood').droppedBytes).toBeGreaterThan(200e6);
  expect(pump.stats('flood').keptBytes).toBe(bytesIn(join(logsDir, 'flood')) - 64);
  now += 10_000;
  pump.tick();
  const told = dropped.filter(([service]) => service === 'flood');
  expect(told.reduce((sum, [, bytes]) => sum + bytes, 0)).toBe(pump.stats('flood').droppedBytes);
}, 60_000);

test('what is below the rate is all there, in order, also when the agent was away', async () => {
  const script =
    'i=0; while [ $i -lt 600 ]; do i=$((i+1)); echo $i; [ $((i%100)) = 0 ] && sleep 0.1; done; echo end';
  await start(talker('calm', script));
  await hasSaid('calm', '1');
  pump.stop();
  pump = openPump();
  await hasSaid('calm', 'end');
  expect(await texts('calm')).toEqual([
    ...Array.from({ length: 600 }, (_none, index) => `${index + 1}`),
    'end',
  ]);
  expect(pump.stats('calm').droppedBytes).toBe(0);
});

test('a follower gets each line once and in order across rotation', async () => {
  const controller = new AbortController();
  const found: string[] = [];
  const options = { tail: 0, follow: true, signal: controller.signal };
  const reading = (async () => {
    for await (const { text } of readLog(join(logsDir, 'turn'), options)) found.push(text);
  })();
  const script = 'seq 1 3000; sleep 0.3; seq 3001 6000; echo end';
  const logs = { sizeBytes: 256 * 1024, rateBytes: 1 << 20 };
  await start(talker('turn', script, { resources: { logs } as never }));
  await until(
    () => {
      second();
      return found.at(-1) === 'end';
    },
    { what: 'the last line to be followed' },
  );
  controller.abort();
  await reading;
  const numbers = found.map(Number).filter((number) => number > 0);
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  expect(readdirSync(join(logsDir, 'turn')).length).toBeGreaterThan(2);
});

test('the log of a service that left goes an hour later; of one that is held, or still writes, never', async () => {
  for (const name of ['held', 'writing', 'left']) {
    await start(talker(name, 'echo hello'));
    await hasSaid(name, 'hello');
  }
  await runtime.remove('held');
  await runtime.remove('left');
  // As after a restart: the folders are all that tells of them.
  pump.stop();
  pump = openPump();
  let at = Date.now();
  const keeper = new LogKeeper({
    pump,
    held: () => new Set(['held']),
    clock: { now: () => at, after: () => () => undefined },
    onError: (error) => {
      throw error;
    },
  });
  keeper.look();
  expect(readdirSync(logsDir)).toEqual(expect.arrayContaining(['held', 'writing', 'left']));
  at += LEFT_LOG_LIMITS.keptMs + 1_000;
  keeper.look();
  expect(readdirSync(logsDir)).toEqual(expect.arrayContaining(['held', 'writing']));
  expect(readdirSync(logsDir)).not.toContain('left');
  expect(readdirSync(spoolDir).filter((name) => name.startsWith('left'))).toEqual([]);
  pump.forget('held');
});

test('a full disk costs lines, which are counted, and nothing else', async () => {
  const small = join(dir, 'small');
  mkdirSync(small);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', small]);
  try {
    pump.stop();
    pump = openPump(small);
    await start(talker('full', 'seq 1 10000; echo end'));
    await until(
      () => {
        second();
        return pump.stats('full').droppedBytes > 300_000;
      },
      { what: 'lines to be dropped' },
    );
    expect((await texts('full', small)).at(-1)).toMatch(/^\d+$/);
  } finally {
    pump.stop();
    execFileSync('umount', [small]);
    pump = openPump();
  }
});
