import { describe, expect, it } from 'vitest';
import { egressSentences, policySentences } from '../../format/policy.ts';
import { egressOf, NO_RULES, toPolicy } from './policy-form.ts';

describe('rules of a rollout', () => {
  it('ask for nothing unless something is chosen', () => {
    expect(toPolicy(NO_RULES)).toBeUndefined();
  });

  it('become the policy that devices are sent', () => {
    const windows = [{ key: 1, schedule: ' 0  2 * * 6 ', minutes: 60 }];
    const form = { ...NO_RULES, windows, maxDeferralDays: 7, consent: true, metered: true, power: true };
    expect(toPolicy({ ...form, commitOffline: true })).toEqual({
      windows: [{ schedule: '0 2 * * 6', minutes: 60 }],
      maxDeferralMs: 604_800_000,
      consent: 'required',
      metered: 'wait',
      power: 'external',
      commitOffline: true,
    });
  });

  it('hold the server to a rate, when one is typed', () => {
    const rates = [' ', '2.5', '0', '-1', 'x'].map((egressMbit) => egressOf({ ...NO_RULES, egressMbit }));
    expect(rates).toEqual([undefined, 312_500, null, null, null]);
    expect(egressSentences(312_500)).toEqual(['The server sends its devices 2.5 Mbit/s in all at most']);
    expect(egressSentences(undefined)).toEqual([]);
  });

  it('are told in sentences', () => {
    const policy = { windows: [], maxDeferralMs: 604_800_000, urgent: { by: 'ada' } } as const;
    expect(policySentences({ ...policy, windows: undefined }, ['Saturdays from 02:00 for 2 h'])).toEqual([
      'Urgent, by ada: no window, lease, metered link or deferral holds it',
      "Switches Saturdays from 02:00 for 2 h, in the device's own time",
      'No window, lease or deferral holds it longer than 7 d',
    ]);
  });
});
