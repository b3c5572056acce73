import { expect, test } from 'vitest';
import type { UpdatePolicy } from '../../../protocol/update-policy.ts';
import { NOTHING_KNOWN, type SwitchFacts } from './hold.ts';
import { outlookOf } from './outlook.ts';
import { EMPTY_RECORD, type UpdateRecord } from './record.ts';

const release = { name: 'demo', version: '2.0.0', manifest: 'b'.repeat(64), generation: 5 };
const facts = (change: Partial<SwitchFacts>): SwitchFacts => ({ ...NOTHING_KNOWN, ...change });
const record = (policy: UpdatePolicy): UpdateRecord => ({
  ...EMPTY_RECORD,
  phase: 'waiting',
  incoming: { release, manifest: undefined, soakMs: 0, policy, acceptedAt: 1000, deferredUntil: 7000 },
});
const waiting = (code: 'wait.window' | 'wait.lease' | 'wait.deferred' | 'wait.consent') => ({
  phase: 'waiting' as const,
  since: 1,
  reason: { code, message: '', at: 1 },
});

test('what is waited for has an end where a clock tells it', () => {
  const windows = [{ schedule: '0 2 * * *', minutes: 60 }];
  const closed = facts({ window: { isOpen: false, opensAt: 9000 } });
  expect(outlookOf(record({ windows }), waiting('wait.window'), closed).waitsUntil).toBe(9000);
  expect(outlookOf(record({}), waiting('wait.deferred'), facts({})).waitsUntil).toBe(7000);
  const leases = [
    { holder: 'ann', why: '', until: 3000 },
    { holder: 'bob', why: '', until: 2000 },
  ];
  expect(outlookOf(record({}), waiting('wait.lease'), facts({ leases })).waitsUntil).toBe(3000);
  expect(outlookOf(record({}), waiting('wait.consent'), facts({})).waitsUntil).toBeUndefined();
  expect(outlookOf(record({}), { phase: 'fetching', since: 1 }, facts({})).waitsUntil).toBeUndefined();
});

test('no wait that time may end lasts past the longest deferral', () => {
  const outlook = outlookOf(record({ maxDeferralMs: 500 }), waiting('wait.deferred'), facts({}));
  expect([outlook.waitsUntil, outlook.incoming?.overdueAt]).toEqual([1500, 1500]);
});

test('consent is told as asked for and as given', () => {
  const asked = record({ consent: 'required' });
  expect(outlookOf(asked, waiting('wait.consent'), facts({})).incoming?.consent).toEqual({});
  const given = { ...asked, incoming: asked.incoming && { ...asked.incoming, consent: 'ada' } };
  expect(outlookOf(given, waiting('wait.window'), facts({})).incoming?.consent).toEqual({ by: 'ada' });
  expect(outlookOf(record({}), waiting('wait.window'), facts({})).incoming?.consent).toBeUndefined();
});

test('of a system is told where it lies, whether it is on trial, and which one boots else', () => {
  const { incoming, ...waits } = record({});
  const shown = (system: NonNullable<UpdateRecord['incoming']>['system']) => {
    const of = {
      ...waits,
      incoming: incoming && { ...incoming, system },
      system: { id: 'x', slot: 'a' as const },
    };
    return outlookOf(of, { phase: 'switching', since: 1 }, facts({}));
  };
  expect(shown({ id: 'y' })).toMatchObject({ incoming: { system: { id: 'y', isTried: false } } });
  const tried = shown({ id: 'y', slot: 'b', trial: { token: 't', isReached: true } });
  expect(tried.incoming?.system).toEqual({ id: 'y', slot: 'b', isTried: true });
  expect(tried.system).toEqual({ id: 'x', slot: 'a' });
});
