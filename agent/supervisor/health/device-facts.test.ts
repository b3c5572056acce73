import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type DeviceHealth, deviceHealthSchema } from '../../../protocol/status.ts';
import { validator } from '../../../protocol/validate.ts';
import { until } from '../../../test/support/until.ts';
import { DeviceFacts, type DeviceFactsOptions } from './device-facts.ts';

let root: string;
let errors: unknown[];
const opened: DeviceFacts[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'wherry-facts-'));
  errors = [];
  mkdirSync(join(root, 'state'));
  machine({ uptimeSeconds: 60, bootId: 'boot-1' });
  put('sys/dev/block/179:0/stat', '  10 0 80 1   20 0 1000 5 0 1 1');
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((facts) => facts.close()));
  rmSync(root, { recursive: true, force: true });
});

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function machine({ uptimeSeconds, bootId }: { uptimeSeconds: number; bootId: string }): void {
  put('proc/uptime', `${uptimeSeconds}.00 1.00\n`);
  put('proc/sys/kernel/random/boot_id', `${bootId}\n`);
  put('proc/loadavg', '0.42 0.1 0.1 1/2 3\n');
  put('proc/meminfo', 'MemTotal:  1000 kB\nMemAvailable:  600 kB\n');
  put('proc/self/status', 'VmRSS:\t  50 kB\n');
}

async function open(change: Partial<DeviceFactsOptions> = {}): Promise<DeviceFacts> {
  const facts = await DeviceFacts.open({
    stateDir: join(root, 'state'),
    proc: join(root, 'proc'),
    sys: join(root, 'sys'),
    pstoreArchive: join(root, 'pstore'),
    disk: '179:0',
    now: 1_000_000,
    onError: (error) => errors.push(error),
    ...change,
  });
  opened.push(facts);
  return facts;
}

const calls: string[] = [];
const clockWatch = {
  start: () => calls.push('start'),
  state: () => 'synchronised' as const,
  stop: () => calls.push('stop'),
};

test('a board that tells everything', async () => {
  for (const of of ['memory', 'io', 'cpu']) {
    put(
      `proc/pressure/${of}`,
      'some avg10=12.50 avg60=0 avg300=0 total=1\nfull avg10=3.00 avg60=0 avg300=0 total=1\n',
    );
  }
  put('sys/class/thermal/thermal_zone0/temp', '81500\n');
  put('sys/devices/platform/soc/soc:firmware/get_throttled', '50005\n');
  put('sys/dev/block/179:0/device/life_time', '0x03 0x01\n');
  const facts = await open({ enduranceBytes: 1e12, clockWatch });
  const health = facts.health();
  expect(health).toMatchObject({
    temperatureCelsius: 81.5,
    memoryPressure: { some: 12.5, full: 3 },
    cpuPressure: { some: 12.5, full: 3 },
    throttling: { now: ['under-voltage', 'throttled'], sinceBoot: ['under-voltage', 'throttled'] },
    storage: { writtenBytes: 512_000, lifeUsedPercent: 30 },
    clock: { state: 'synchronised' },
    boot: { id: 'boot-1', reason: 'first', at: 940_000 },
  });
  expect(validator<DeviceHealth>(deviceHealthSchema)(health)).toEqual({ ok: true, value: health });
  await facts.close();
  expect(calls).toEqual(['start', 'stop']);
  expect(facts.strain()).toEqual({
    memoryPressure: 12.5,
    ioPressure: 12.5,
    temperatureCelsius: 81.5,
    isUnderVoltage: true,
  });
});

test('a board that tells nothing', async () => {
  const facts = await open({ disk: '0:99' });
  const health = facts.health();
  expect(Object.keys(health).toSorted()).toEqual(
    [...deviceHealthSchema.required, 'clock', 'boot'].toSorted(),
  );
  expect(health.clock).toEqual({ state: 'unknown' });
  expect(facts.strain()).toEqual({});
});

test('without the firmware’s file the voltage alarm counts, and is remembered', async () => {
  put('sys/class/hwmon/hwmon1/name', 'rpi_volt\n');
  put('sys/class/hwmon/hwmon1/in0_lcrit_alarm', '1\n');
  const facts = await open();
  expect(facts.health()).toMatchObject({
    throttling: { now: ['under-voltage'], sinceBoot: ['under-voltage'] },
  });
  put('sys/class/hwmon/hwmon1/in0_lcrit_alarm', '0\n');
  expect(facts.health().throttling).toEqual({ now: [], sinceBoot: ['under-voltage'] });
  expect(facts.strain()).toEqual({ isUnderVoltage: false });
});

const reasonOf = (facts: DeviceFacts) => facts.health().boot?.reason;

test('why it booted: asked for, in order, cut off, panicked', async () => {
  let facts = await open();
  await facts.noteReboot('camera asks for it');
  await facts.close();
  machine({ uptimeSeconds: 5, bootId: 'boot-2' });
  facts = await open();
  expect(reasonOf(facts)).toBe('requested');
  await facts.close();
  machine({ uptimeSeconds: 5, bootId: 'boot-3' });
  expect(reasonOf(await open())).toBe('clean');
  machine({ uptimeSeconds: 5, bootId: 'boot-4' });
  expect(reasonOf(await open())).toBe('lost-power');
  machine({ uptimeSeconds: 5, bootId: 'boot-5' });
  put('sys/fs/pstore/dmesg-ramoops-0', 'Kernel panic');
  expect(reasonOf(await open())).toBe('panic');
  machine({ uptimeSeconds: 5, bootId: 'boot-6' });
  put('sys/class/watchdog/watchdog0/bootstatus', '32\n');
  expect(reasonOf(await open())).toBe('watchdog');
});

test('an agent that comes back within a boot takes its ending back', async () => {
  await (await open()).close();
  expect(reasonOf(await open())).toBe('first');
  machine({ uptimeSeconds: 5, bootId: 'boot-2' });
  expect(reasonOf(await open())).toBe('lost-power');
});

test('written bytes go on over agents and boots', async () => {
  const first = await open();
  first.health();
  await first.close();
  put('sys/dev/block/179:0/stat', '  10 0 80 1   20 0 1500 5 0 1 1');
  const second = await open();
  expect(second.health().storage?.writtenBytes).toBe(768_000);
  await second.close();
  machine({ uptimeSeconds: 5, bootId: 'boot-2' });
  put('sys/dev/block/179:0/stat', '  10 0 80 1   20 0 100 5 0 1 1');
  expect((await open()).health().storage?.writtenBytes).toBe(819_200);
});

test('a state folder that cannot be written, and torn records, are told or begun anew', async () => {
  put('state/boot.json', '{"v":1,"bo');
  put('state/wear.json', 'null');
  const torn = await open();
  expect(torn.health()).toMatchObject({ boot: { reason: 'first' }, storage: { writtenBytes: 512_000 } });
  await torn.close();
  expect(errors).toEqual([]);
  rmSync(join(root, 'state/boot.json'));
  mkdirSync(join(root, 'state/boot.json'));
  mkdirSync(join(root, 'state/wear.json.new'));
  const facts = await open();
  facts.health();
  await until(() => errors.length >= 2, { what: 'both failures' });
  expect(reasonOf(facts)).toBe('first');
});
