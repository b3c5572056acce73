import { expect, test } from 'vitest';
import { clockState, readChrony, readNtp, readTimex } from './clock-state.ts';

test.each([
  ['0 8193\n', 'synchronised'],
  ['5 64', 'unsynchronised'],
  // A leap second is announced: TIME_INS is no error.
  ['1 17', 'synchronised'],
  ['-1 0', undefined],
  ['', undefined],
  ["Can't locate syscall.ph", undefined],
])('the kernel says %j', (text, word) => {
  expect(readTimex(text)).toBe(word);
});

const tracking = (refid: string, name: string, stratum: number, leap: string) =>
  `${refid},${name},${stratum},1790000000.123,0.000012,-0.00001,0.00002,-12.3,0.001,0.02,0.01,0.001,64.2,${leap}\n`;

test.each([
  [tracking('C0A80001', 'ntp.example', 3, 'Normal'), 'synchronised'],
  [tracking('C0A80001', 'ntp.example', 3, 'Insert second'), 'synchronised'],
  [tracking('00000000', '', 0, 'Not synchronised'), 'unsynchronised'],
  ['506 Cannot talk to daemon', undefined],
])('chrony says %j', (text, word) => {
  expect(readChrony(text)).toBe(word);
});

test.each([
  ['associd=0 status=0615 leap_none, sync_ntp, 1 event, clock_sync,\nleap=00\n', 'synchronised'],
  ['leap=01', 'synchronised'],
  ['leap=11', 'unsynchronised'],
  ['ntpq: read: Connection refused', undefined],
])('ntpd says %j', (text, word) => {
  expect(readNtp(text)).toBe(word);
});

test('one that holds the clock is enough, and without any word nothing is known', () => {
  expect(clockState(['unsynchronised', undefined, 'synchronised'])).toBe('synchronised');
  expect(clockState([undefined, 'unsynchronised'])).toBe('unsynchronised');
  expect(clockState([undefined, undefined])).toBe('unknown');
});
