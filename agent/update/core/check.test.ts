import { expect, test } from 'vitest';
import { offeredTo } from './check.ts';
import { NOTHING_KNOWN } from './hold.ts';
import { EMPTY_RECORD, type UpdateRecord } from './record.ts';

const T0 = 1_800_000_000_000;
const times = { now: T0, at: T0 };
const release = { name: 'demo', version: '2', manifest: 'a'.repeat(64), generation: 5 };
const incoming = { release, manifest: undefined, soakMs: 0, acceptedAt: T0 };
const record = (change: Partial<UpdateRecord>): UpdateRecord => ({ ...EMPTY_RECORD, ...change });

test('nothing was offered to a fresh device', () => {
  expect(offeredTo(EMPTY_RECORD, NOTHING_KNOWN, times)).toEqual({ verdict: 'nothing-offered', why: [] });
});

test('all that holds a release is told: consent, power, leases and the window at once', () => {
  const policy = {
    consent: 'required',
    power: 'external',
    windows: [{ schedule: '0 2 * * *', minutes: 60 }],
  } as const;
  const facts = {
    ...NOTHING_KNOWN,
    power: 'battery' as const,
    window: { isOpen: false, opensAt: T0 + 1 },
    leases: [
      { holder: 'ada', why: 'a test', until: T0 + 5 },
      { holder: 'grace', why: 'over', until: T0 },
    ],
  };
  const held = record({ phase: 'waiting', about: release, incoming: { ...incoming, policy } as never });
  const told = offeredTo(held, facts, times);
  expect([told.verdict, told.why.map(({ code }) => code)]).toEqual([
    'waits',
    ['wait.consent', 'wait.power', 'wait.lease', 'wait.window'],
  ]);
});

test('one that has switched waits for nothing any more', () => {
  const policy = { consent: 'required' } as const;
  const soaking = record({ phase: 'soaking', about: release, incoming: { ...incoming, policy } as never });
  expect(offeredTo(soaking, NOTHING_KNOWN, times)).toEqual({ verdict: 'under-way', release, why: [] });
});

test('one that was rolled back is refused, and is remembered', () => {
  const reason = { code: 'update.rolled-back' as const, message: 'web crashed', at: T0 };
  const failed = record({ phase: 'rolled_back', about: release, reason, bad: [release.manifest] });
  expect(offeredTo(failed, NOTHING_KNOWN, times)).toMatchObject({
    verdict: 'refused',
    why: [{ code: 'update.rolled-back' }, { code: 'refused.bad-release' }],
  });
});

test('one that runs is said to', () => {
  const running = record({ phase: 'committed', about: release, current: { release, manifest: '{}' } });
  expect(offeredTo(running, NOTHING_KNOWN, times)).toEqual({ verdict: 'runs', release, why: [] });
});
