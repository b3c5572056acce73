import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hasSwapAccounting, openCgroups } from '../../agent/supervisor/cgroup/detect.ts';
import { MONITOR } from '../../agent/supervisor/core/budget.ts';
import { LogPump, SPOOL_BYTES } from '../../agent/supervisor/logs/log-pump.ts';
import { readLog } from '../../agent/supervisor/logs/read-log.ts';
import { ConmonRuntime } from '../../agent/supervisor/runtime/conmon.ts';
import { serviceSpec } from '../support/service-specs.ts';
import { type TinyImage, tinyImage } from '../support/tiny-image.ts';
import { until } from '../support/until.ts';

/** How long the flood is watched. */
const FLOOD_MS = 4_000;
/** The quota is given anew each tenth of a second: a reading may hold one more than its share. */
const SLACK_MS = 150;
/** USER_HZ: the unit of /proc/<pid>/stat. */
const TICK_MS = 10;

const dir = mkdtempSync(join(tmpdir(), 'wherry-flood-'));
const spoolDir = join(dir, 'run/logs');
const logsDir = join(dir, 'logs');
const cgroups = openCgroups(`t${process.pid}flood`);
let image: TinyImage;
let pump: LogPump;

const runtime = new ConmonRuntime({
  runtime: 'crun',
  instance: `t${process.pid}flood`,
  runDir: join(dir, 'run'),
  logsDir: spoolDir,
  logMaxBytes: SPOOL_BYTES,
  cgroupsPath: (service) => cgroups.pathOf(service),
  volumePath: () => dir,
  hasSwapAccounting: hasSwapAccounting(),
  beforeStart: (spec) => pump.begin(spec),
  holdMonitor: (service, pid) => cgroups.holdMonitor(service, pid),
});

beforeAll(async () => {
  image = await tinyImage();
  pump = new LogPump({ spoolDir, logsDir, monitorWritten: (service) => runtime.monitorWritten(service) });
  pump.start();
});
afterAll(async () => {
  for (const { service } of await runtime.observe()) {
    await runtime.remove(service);
    await cgroups.remove(service);
  }
  pump.stop();
  await cgroups.destroy();
  rmSync(dir, { recursive: true, force: true });
});

const start = (name: string, script: string): Promise<{ pid: number }> => {
  const spec = serviceSpec(name, {
    args: ['/bin/sh', '-c', script],
    resources: { memoryMaxBytes: 32 * 1024 ** 2, cpuMax: 1, pidsMax: 16 },
  });
  return runtime.start(spec, { rootfs: image.folder }, async () => undefined);
};
const monitorOf = (service: string): number => runtime.monitorWritten(service)?.pid ?? 0;
/** CPU time that a process has used, ms. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
async function numbersOf(service: string): Promise<number[]> {
  const found: number[] = [];
  const options = { tail: 100_000, follow: false, signal: new AbortController().signal };
  for await (const { text } of readLog(join(logsDir, service), options)) found.push(Number(text));
  return found;
}

test('the monitor of a service that floods is held to its cgroup, and a neighbour’s log is whole', async () => {
  await start('flood', 'exec yes "flood flood flood flood flood flood flood flood"');
  await start('calm', 'i=0; while :; do i=$((i+1)); echo $i; [ $((i%50)) = 0 ] && sleep 0.1; done');
  const monitor = monitorOf('flood');
  expect(readFileSync(`/proc/${monitor}/cgroup`, 'utf8')).toContain(`${cgroups.pathOf('flood')}.monitor`);
  const [usedBefore, before] = [cpuMs(monitor), performance.now()];
  await pause(FLOOD_MS);
  const usedMs = cpuMs(monitor) - usedBefore;
  const shareMs = (performance.now() - before) * MONITOR.cpuMax;
  expect(usedMs).toBeLessThanOrEqual(shareMs + SLACK_MS);
  // It had more to do than it was given: else nothing was held.
  expect(usedMs).toBeGreaterThan(shareMs / 2);
  await until(() => pump.stats('flood').droppedBytes > 0, { what: 'the flood to be dropped and counted' });

  await until(async () => (await numbersOf('calm')).length > 500, { what: 'the neighbour’s lines' });
  await runtime.kill('calm', 'SIGKILL');
  pump.tick();
  const said = await numbersOf('calm');
  expect(said).toEqual(Array.from({ length: said.length }, (_none, index) => index + 1));
  expect(pump.stats('calm').droppedBytes).toBe(0);
}, 60_000);
