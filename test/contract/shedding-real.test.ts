import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DeviceFacts } from '../../agent/supervisor/health/device-facts.ts';
import type { DeviceStrain } from '../../agent/supervisor/ports.ts';
import type { ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import { LeapingClock } from '../support/leaping-clock.ts';
import { realSupervisor } from '../support/real-supervisor.ts';
import { shellService } from '../support/service-specs.ts';
import { type TinyImage, tinyImage } from '../support/tiny-image.ts';
import { until } from '../support/until.ts';

/** A level is given this long to show before the next; the calm, before one is taken back. */
const SETTLE_MS = 10_000;
const CALM_MS = 30_000;

let strain: () => DeviceStrain = () => ({});
let readings = 0;
const readStrain = (): DeviceStrain => {
  readings += 1;
  return strain();
};
const readAgain = () => {
  const before = readings;
  return until(() => readings >= before + 2, { what: 'two readings' });
};
const put = (path: string, text: string): void => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
};

/**
 * What a strained device does to real containers. The readings are the test's, what follows is the kernel's; only the
 * waits between levels are leapt over.
 */
describe('a strained device', () => {
  const dir = mkdtempSync(join(tmpdir(), 'wherry-shedding-'));
  const clock = new LeapingClock();
  let image: TinyImage;
  let parts: ReturnType<typeof realSupervisor>;

  beforeAll(async () => {
    image = await tinyImage();
    parts = realSupervisor(dir, `q${process.pid}`, image.blobDir, { clock, readStrain });
    parts.supervisor.start();
    parts.supervisor.apply({
      release: { name: 'strain', version: '1', generation: 1 },
      services: [
        steady('logger', { criticality: 'low' }),
        steady('web', {}),
        steady('control', { criticality: 'critical' }),
      ],
    });
    await until(() => parts.supervisor.health().isConverged, { what: 'the services to run' });
  });
  afterAll(async () => {
    await parts.supervisor.stop({ services: 'stop' });
    rmSync(dir, { recursive: true, force: true });
  });

  const steady = (name: string, extra: Partial<ServiceSpec>): ServiceSpec =>
    shellService(image.verity, name, 'trap "exit 0" TERM; while :; do :; done', extra);
  const status = (name: string) => parts.supervisor.statuses().find((service) => service.name === name);
  /** CPU that the kernel allows the service, of the half core it has; none = it does not run. */
  const allowed = async (name: string): Promise<number | undefined> =>
    processes(parts.cgroups.pathOf(name)).length === 0 ? undefined : (await parts.cgroups.read(name))?.cpuMax;
  const all = async () => [await allowed('logger'), await allowed('web'), await allowed('control')];
  const becomes = (wanted: (number | undefined)[], what: string) =>
    until(async () => JSON.stringify(await all()) === JSON.stringify(wanted), { timeoutMs: 20_000, what });
  /** Codes and words of why a service is as it is, newest first, each with what led to it. */
  const why = (name: string): string =>
    (parts.supervisor.why(name) ?? [])
      .map(({ code, message, causes = [] }) =>
        [`${code} ${message}`, ...causes.map((cause) => `  ${cause.code} ${cause.message}`)].join('\n'),
      )
      .join('\n');

  test('throttles and then stops the least critical first, and never the critical', async () => {
    const pid = status('control')?.pid;
    strain = () => ({ temperatureCelsius: 85 });
    await becomes([0.25, 0.5, 0.5], 'logger to be throttled');
    expect(status('logger')).toMatchObject({ isThrottled: true, state: 'running' });
    expect(why('logger')).toMatch(
      /^shed\.throttled .*\n {2}device\.shed The device is at 85 °C, over 80 °C; services of low criticality are throttled/,
    );
    clock.leap(SETTLE_MS);
    await becomes([undefined, 0.5, 0.5], 'logger to be stopped');
    const isTold =
      /^wait\.shed .*\n {2}device\.shed The device is at 85 °C, over 80 °C; services of low criticality are stopped/;
    await until(() => isTold.test(why('logger')), { what: 'the reason to be told' });
    expect(why('logger')).toContain('stop.shed Stopped to relieve the device');
    expect(status('logger')?.state).toBe('shed');
    strain = () => ({ memoryPressure: 55 });
    clock.leap(SETTLE_MS);
    await becomes([undefined, 0.25, 0.5], 'web to be throttled');
    expect(why('web')).toContain('device.shed Memory pressure is 55 %, over 40 %');
    strain = () => ({ ioPressure: 70 });
    clock.leap(SETTLE_MS);
    await becomes([undefined, undefined, 0.5], 'web to be stopped');
    expect(why('web')).toContain('device.shed IO pressure is 70 %, over 60 %');
    clock.leap(SETTLE_MS);
    expect(parts.supervisor.shedding()).toMatchObject({ level: 4 });
    expect(status('control')).toMatchObject({ state: 'running', pid, restarts: 0 });
    expect(parts.events.map(({ code }) => code)).not.toContain('repair.budget');
  }, 60_000);

  test('takes it back in reverse when it has been calm for long, and no sooner', async () => {
    const calmLonger = async (wanted: (number | undefined)[], what: string) => {
      clock.leap(CALM_MS);
      await becomes(wanted, what);
    };
    // Below its threshold, but not well below: neither more nor less is shed.
    strain = () => ({ temperatureCelsius: 78 });
    await readAgain();
    clock.leap(CALM_MS);
    await readAgain();
    expect(parts.supervisor.shedding()).toMatchObject({ level: 4 });
    strain = () => ({ temperatureCelsius: 60 });
    await readAgain();
    expect(parts.supervisor.shedding()).toMatchObject({ level: 4 });
    await calmLonger([undefined, 0.25, 0.5], 'web to come back, throttled');
    expect(why('web')).toContain('start.restored');
    await calmLonger([undefined, 0.5, 0.5], 'web to have all of its budget');
    expect(why('web')).toMatch(/^shed\.restored .*\n {2}device\.relieved Calm for 30 s/);
    await calmLonger([0.25, 0.5, 0.5], 'logger to come back, throttled');
    await calmLonger([0.5, 0.5, 0.5], 'logger to have all of its budget');
    expect(parts.supervisor.shedding()).toBeUndefined();
    expect(status('logger')).toMatchObject({ state: 'running' });
    expect(status('logger')).not.toHaveProperty('isThrottled');
  }, 90_000);

  test('is seen by its own files: a thermal zone that gets hot, and pressure', async () => {
    const [proc, sys] = [join(dir, 'proc'), join(dir, 'sys')];
    for (const file of ['meminfo', 'uptime', 'loadavg', 'self/status', 'sys/kernel/random/boot_id'])
      put(join(proc, file), readFileSync(join('/proc', file), 'utf8'));
    const zone = join(sys, 'class/thermal/thermal_zone0/temp');
    put(zone, '45000\n');
    const pressure = (percent: string): void =>
      put(join(proc, 'pressure/memory'), `some avg10=${percent} avg60=0.00 avg300=0.00 total=1\n`);
    pressure('0.00');
    const facts = await DeviceFacts.open({ stateDir: dir, now: clock.now(), proc, sys, onError: () => {} });
    strain = () => facts.strain();
    put(zone, '91500\n');
    await becomes([0.25, 0.5, 0.5], 'logger to be throttled');
    expect(why('logger')).toContain('The device is at 91.5 °C, over 80 °C');
    put(zone, '45000\n');
    pressure('48.12');
    clock.leap(SETTLE_MS);
    await becomes([undefined, 0.5, 0.5], 'logger to be stopped');
    expect(why('logger')).toContain('Memory pressure is 48.12 %, over 40 %');
    await facts.close();
  }, 60_000);
});

/** Processes of the machine that are in this cgroup. */
const processes = (cgroup: string): string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`${cgroup}\n`);
      } catch {
        return false;
      }
    });
