import fc from 'fast-check';
import { expect, test } from 'vitest';
import { serviceLease } from './service-lease.ts';

const NOW = Date.UTC(2026, 10, 21, 10, 30);
const HOUR = 3_600_000;
const read = (text: string, writtenAt = NOW - 1000) => serviceLease('web', text, writtenAt, NOW);

test('a time, or seconds from when it was written, and why', () => {
  expect(read('60\nmeasuring\nmore')).toEqual({
    holder: 'web',
    why: 'measuring',
    until: NOW + 59_000,
    isService: true,
  });
  expect(read('2026-11-21T11:00:00Z')).toMatchObject({ until: NOW + HOUR / 2, why: 'it is busy' });
  expect(read('2026-11-21T12:00+01:00\n')).toMatchObject({ until: NOW + HOUR / 2 });
});

test('what ran out, or cannot be read, is no lease', () => {
  const none = [
    '1',
    '2026-11-21T10:00:00Z',
    '',
    '\n',
    'tomorrow',
    '-5',
    '1e9',
    '2026-99-99T00:00:00Z',
    '0x10',
  ];
  expect(none.map((text) => read(text))).toEqual(none.map(() => undefined));
});

test('a time stamp of the future does not lengthen it', () => {
  expect(read('60', NOW + 100 * HOUR)?.until).toBe(NOW + 60_000);
});

test('none reaches past a day, and none drives a terminal', () => {
  const anyText = fc.oneof(fc.string({ unit: 'binary' }), fc.integer({ min: 1 }).map(String));
  const property = fc.property(anyText, fc.string({ unit: 'binary' }), (first, second) => {
    const lease = read(`${first}\n${second}`);
    return !lease || (lease.until > NOW && lease.until <= NOW + 24 * HOUR && !/\p{Cc}/u.test(lease.why));
  });
  expect(fc.check(property).failed).toBe(false);
});
