import { expect, test } from 'vitest';
import { type BootFacts, type BootMarker, nextMarker } from './boot-reason.ts';
import { readThrottled, uniteFlags } from './throttling.ts';
import { afterLook, describeWear, readLifeTime, type WearRecord } from './wear.ts';

test.each([
  ['0', [], []],
  ['1\n', ['under-voltage'], []],
  ['0x50005', ['under-voltage', 'throttled'], ['under-voltage', 'throttled']],
  ['80008', ['soft-temperature-limit'], ['soft-temperature-limit']],
  ['20000', [], ['frequency-capped']],
])('the firmware says %j', (text, now, sinceBoot) => {
  expect(readThrottled(text)).toEqual({ now, sinceBoot });
});

test.each(['', 'throttled=0x0', '-1', 'zz'])('%j is no word of the firmware', (text) => {
  expect(readThrottled(text)).toBeUndefined();
});

test('flags unite once each, in their order', () => {
  expect(uniteFlags(['throttled'], ['under-voltage', 'throttled'])).toEqual(['under-voltage', 'throttled']);
});

const facts = (change: Partial<BootFacts> = {}): BootFacts => ({
  bootId: 'b2',
  bootedAt: 5_000,
  panics: [],
  isWatchdogReset: false,
  ...change,
});
const kept = (change: Partial<BootMarker> = {}): BootMarker => ({
  v: 1,
  boot: { id: 'b1', reason: 'first', at: 1_000 },
  panics: [],
  ...change,
});
const requested = { kind: 'requested', message: 'camera asks' } as const;
const clean = { kind: 'clean', message: 'stopped' } as const;

test.each<[string, BootMarker | undefined, Partial<BootFacts>]>([
  ['first', undefined, { isWatchdogReset: true, panics: ['dmesg-0'] }],
  ['requested', kept({ ending: requested }), { isWatchdogReset: true }],
  ['clean', kept({ ending: clean }), {}],
  ['panic', kept(), { panics: ['dmesg-0'], isWatchdogReset: true }],
  ['watchdog', kept({ panics: ['dmesg-0'] }), { panics: ['dmesg-0'], isWatchdogReset: true }],
  ['lost-power', kept({ panics: ['dmesg-0'] }), { panics: ['dmesg-0'] }],
])('the boot was: %s', (reason, marker, change) => {
  expect(nextMarker(marker, facts(change)).boot).toEqual({ id: 'b2', reason, at: 5_000 });
});

test('within one boot reason and time stand, whatever the clock says now, and its ending is taken back', () => {
  const marker = nextMarker(kept({ ending: clean }), facts({ bootId: 'b1', bootedAt: 99_000 }));
  expect(marker).toEqual(kept());
});

const HOUR = 3_600_000;
const GiB = 1024 ** 3;
const look = (bootId: string, counterBytes: number, hours: number) => ({
  bootId,
  counterBytes,
  uptimeMs: hours * HOUR,
});

test('what is written adds up over looks and boots', () => {
  let record = afterLook(undefined, look('a', 100, 1));
  record = afterLook(record, look('a', 150, 2));
  record = afterLook(record, look('b', 30, 0.5));
  expect(record).toMatchObject({ totalBytes: 180, spans: [{ ms: 2.5 * HOUR, bytes: 180 }] });
});

test('a counter that went back is a new count', () => {
  expect(afterLook(afterLook(undefined, look('a', 100, 1)), look('a', 40, 2)).totalBytes).toBe(140);
});

test('the pace is that of the last days only, and kept in bounds', () => {
  let record: WearRecord | undefined;
  let written = 0;
  for (let day = 1; day <= 60; day++) {
    written += day <= 30 ? 100 * GiB : GiB;
    record = afterLook(record, look('a', written, day * 24));
  }
  expect(record?.spans).toHaveLength(14);
  const described = describeWear(record as WearRecord, {
    enduranceBytes: undefined,
    lifeUsedPercent: undefined,
  });
  expect(described).toEqual({ writtenBytes: 3030 * GiB, writtenBytesPerDay: GiB });
});

test('the forecast goes by the endurance that is left, by the storage’s own account where it gives one', () => {
  const record = afterLook(afterLook(undefined, look('a', 0, 0)), look('a', 10 * GiB, 24));
  const forecast = (enduranceBytes: number, lifeUsedPercent?: number) =>
    describeWear(record, { enduranceBytes, lifeUsedPercent }).daysLeft;
  expect(forecast(1_010 * GiB)).toBe(100);
  expect(forecast(1_000 * GiB, 40)).toBe(60);
  expect(forecast(5 * GiB)).toBe(0);
});

test('there is no pace in the first hour, and no forecast without writes', () => {
  const soon = afterLook(undefined, look('a', GiB, 0.5));
  const wear = { enduranceBytes: GiB, lifeUsedPercent: undefined };
  expect(describeWear(soon, wear)).toEqual({ writtenBytes: GiB });
  expect(describeWear(afterLook(undefined, look('a', 0, 5)), wear)).toEqual({
    writtenBytes: 0,
    writtenBytesPerDay: 0,
  });
});

test.each([
  ['0x02 0x01\n', 20],
  ['0x00 0x03', 30],
  ['0x0b 0x0b', 100],
  ['0x00 0x00', undefined],
  ['0xff 0x00', undefined],
  ['', undefined],
])('eMMC life time %j is %s percent used', (text, percent) => {
  expect(readLifeTime(text)).toBe(percent);
});
