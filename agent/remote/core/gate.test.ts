import { expect, test } from 'vitest';
import { REMOTE_LIMITS, type RemoteAction } from '../../../protocol/remote-actions.ts';
import { type GateMemory, judge } from './gate.ts';

const NOW = 1_000_000;
const fresh: GateMemory = { session: 'now', seen: new Map(), recent: [] };
const ask = { id: 'a', session: 'now', expiresAt: NOW + 10_000, action: 'reboot' as const };
const device = { now: NOW, open: 0, allowed: new Set<RemoteAction>(['reboot', 'why']) };

test('what is new, soon and switched on is taken', () => {
  const { verdict, memory } = judge(ask, fresh, device);
  expect(verdict).toEqual({ kind: 'take' });
  expect([...memory.seen.keys()]).toEqual(['a']);
});

test('a reboot that comes twice is carried out once, also when the first was refused', () => {
  const { memory } = judge(ask, fresh, device);
  expect(judge(ask, memory, device).verdict).toMatchObject({ kind: 'drop' });
  const off = judge(ask, fresh, { ...device, allowed: new Set() });
  expect(off.verdict).toMatchObject({ kind: 'refuse', code: 'off' });
  expect(judge(ask, off.memory, device).verdict).toMatchObject({ kind: 'drop' });
});

test('what was asked in another session is dropped: nothing outlives a reconnect or a reboot', () => {
  expect(judge({ ...ask, session: 'before' }, fresh, device).verdict).toMatchObject({ kind: 'drop' });
});

test.each([
  ['late to the millisecond', NOW],
  ['later', NOW - 60_000],
  ['to hold for longer than is remembered', NOW + 2 * REMOTE_LIMITS.askMs + 1],
])('a request that comes %s is stale', (_, expiresAt) => {
  expect(judge({ ...ask, expiresAt }, fresh, device).verdict).toMatchObject({
    kind: 'refuse',
    code: 'stale',
  });
});

test('an id is remembered for as long as its request could be taken, and no longer', () => {
  const { memory } = judge(ask, fresh, device);
  const later = (now: number) => judge({ ...ask, id: 'b', expiresAt: now + 1 }, memory, { ...device, now });
  expect(later(ask.expiresAt - 1).memory.seen.has('a')).toBe(true);
  expect(later(ask.expiresAt).memory.seen.has('a')).toBe(false);
});

test('at most so many at a time, and so many in a minute', () => {
  const full = { ...device, open: REMOTE_LIMITS.streams };
  expect(judge(ask, fresh, full).verdict).toMatchObject({ kind: 'refuse', code: 'busy' });
  let memory = fresh;
  for (let count = 0; count < REMOTE_LIMITS.asksPerMinute; count++) {
    const next = judge({ ...ask, id: `${count}` }, memory, device);
    expect(next.verdict.kind).toBe('take');
    memory = next.memory;
  }
  expect(judge({ ...ask, id: 'z' }, memory, device).verdict).toMatchObject({ kind: 'drop' });
  const now = NOW + 60_000;
  const expiresAt = now + 1;
  expect(judge({ ...ask, id: 'z', expiresAt }, memory, { ...device, now }).verdict.kind).toBe('take');
});
