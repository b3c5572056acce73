import { describe, expect, it } from 'vitest';
import { eventTone } from './event-tone.ts';
import { bytes, cores, count, percent, tally } from './quantity.ts';
import { refusalOf } from './refusal.ts';
import { duration, localTimes, relative } from './time.ts';

const MIB = 1024 ** 2;

it.each([
  [0, '0'],
  [3.9, '3.9'],
  [9120, '9,120'],
  [999_999, '999,999'],
  [1_284_400, '1.284M'],
  [86_400_000_000, '86.4bn'],
])('writes the count %d as %s', (value, words) => expect(tally(value)).toBe(words));

describe('bytes', () => {
  it.each([
    [0, '0 B'],
    [812, '812 B'],
    [1024, '1 KiB'],
    [64 * MIB, '64 MiB'],
    [Math.round(9.75 * MIB), '9.75 MiB'],
    [Math.round(18.44 * MIB), '18.4 MiB'],
    [128 * MIB, '128 MiB'],
    [1536 * MIB, '1.5 GiB'],
  ])('writes %d as %s', (value, words) => expect(bytes(value)).toBe(words));

  it('never writes 1000 of a unit', () => {
    expect(bytes(999.9 * MIB)).toBe('0.98 GiB');
  });

  it('keeps the zeros of a whole number', () => {
    expect(bytes(100 * MIB)).toBe('100 MiB');
    expect(bytes(10 * MIB)).toBe('10 MiB');
  });
});

describe('cores', () => {
  it('shows a thousandth only where it matters', () => {
    expect(cores(0.004)).toBe('0.004');
    expect(cores(0.253)).toBe('0.25');
    expect(cores(1)).toBe('1');
    expect(cores(0)).toBe('0');
  });
});

describe('percent', () => {
  it('is 100 only when all is there and 0 only when nothing is', () => {
    expect(percent(999_999, 1_000_000)).toBe(99);
    expect(percent(1, 1_000_000)).toBe(1);
    expect(percent(0, 10)).toBe(0);
    expect(percent(12, 10)).toBe(100);
    expect(percent(5, 0)).toBe(0);
  });
});

it('counts in words', () => {
  expect(count(1, 'device')).toBe('1 device');
  expect(count(0, 'device')).toBe('0 devices');
});

describe('times', () => {
  const now = 1_750_000_000_000;

  it('gives the two largest units of a span', () => {
    expect(duration(0)).toBe('0 s');
    expect(duration(312_000)).toBe('5 min 12 s');
    expect(duration(26 * 3_600_000)).toBe('1 d 2 h');
    expect(duration(24 * 3_600_000)).toBe('1 d');
  });

  it('looks back and ahead', () => {
    expect(relative(now - 9_000, now)).toBe('just now');
    expect(relative(now - 40_000, now)).toBe('40 s ago');
    expect(relative(now - 3 * 3_600_000, now)).toBe('3 h ago');
    expect(relative(now + 89 * 86_400_000, now)).toBe('in 89 d');
  });

  it('takes a clock that is a little ahead for now', () => {
    expect(relative(now + 4_000, now)).toBe('just now');
  });
});

describe('codes', () => {
  it('has words and advice for a refusal, and words for one it does not know', () => {
    expect(refusalOf('refused.board').advice).not.toBe('');
    expect(refusalOf('refused.by-a-newer-agent').title).toBe('The device refused the release');
  });

  it('gives an unknown code the tone of its family', () => {
    expect(eventTone('refused.by-a-newer-agent')).toBe('bad');
    expect(eventTone('exit.oom')).toBe('bad');
    expect(eventTone('exit.code')).toBe('warn');
    expect(eventTone('update.offered')).toBe('quiet');
  });

  it('marks what a slow subscriber did, worst where it was evicted, and well again where it caught up', () => {
    const codes = ['channel.evicted', 'channel.overruns', 'channel.restored', 'channel.reset'];
    expect(codes.map(eventTone)).toEqual(['bad', 'warn', 'ok', 'quiet']);
  });
});

it('tells times in a sentence of a device in the reader’s own zone', () => {
  const at = new Date('2026-11-22T02:00:00Z');
  const hour = String(at.getHours()).padStart(2, '0');
  expect(localTimes('Waits for the update window of 2026-11-22T02:00:00Z')).toMatch(
    new RegExp(`window of \\w{3},? \\d+ Nov,? ${hour}:00$`),
  );
  expect(localTimes('exit code 2026')).toBe('exit code 2026');
});
