import { expect, test } from 'vitest';
import { LIMITS } from '../../protocol/limits.ts';
import { Presence } from './presence.ts';

test('a device stays online for the lease after its session ended, and lapses once', () => {
  let now = 0;
  const presence = new Presence(() => now);
  presence.opened('cam-1');
  now = 10 * LIMITS.presenceLeaseMs;
  expect(presence.isOnline('cam-1')).toBe(true);
  presence.heard('cam-1');
  presence.closed('cam-1');
  now += LIMITS.presenceLeaseMs - 1;
  expect([presence.isOnline('cam-1'), presence.lapsed()]).toEqual([true, []]);
  now += 1;
  expect([presence.isOnline('cam-1'), presence.lapsed(), presence.lapsed()]).toEqual([false, ['cam-1'], []]);
});
