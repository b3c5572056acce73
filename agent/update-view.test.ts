import { expect, test } from 'vitest';
import type { UpdatePolicy } from '../protocol/update-policy.ts';
import type { RootOfTrust } from './open-updates.ts';
import { NOTHING_KNOWN } from './update/core/hold.ts';
import { EMPTY_RECORD, type UpdateRecord } from './update/core/record.ts';
import type { UpdateWish } from './update/engine-options.ts';
import { updateView } from './update-view.ts';

const release = (version: string) => ({ name: 'demo', version, manifest: version, generation: 1 });
const installed = (version: string) => ({ release: release(version), manifest: '{}' });
const HOUR = 3_600_000;
const ROOT = { ok: true, version: 3, sha256: 'ab' } as const;

function viewOf(record: Partial<UpdateRecord>, wish: UpdateWish = 'accepted', root: RootOfTrust = ROOT) {
  const wishes: unknown[] = [];
  const said = (...what: unknown[]): UpdateWish => {
    wishes.push(what);
    return wish;
  };
  const engine = {
    status: () => ({ phase: 'idle' as const, since: 0 }),
    apply: async (folder: string, by: string) => {
      if (folder === '/none') return { ok: false as const, message: 'Cannot apply /none: it is empty' };
      const result = said('apply', folder, by);
      return {
        ok: true as const,
        result: result === 'held' ? result : ('accepted' as const),
        release: 'demo 2.0.0',
      };
    },
    consent: (by: string) => said('consent', by),
    defer: (until: number, by: string) => said('defer', until, by),
    rollBack: (by: string) => said('rollback', by),
  };
  const view = updateView({
    online: { steered: { engine, facts: () => NOTHING_KNOWN, root: async () => root } },
    ledger: { load: () => ({ ...EMPTY_RECORD, ...record }), history: () => [] },
    leases: { list: () => [] },
    clock: { now: () => HOUR },
    startedAt: 0,
  });
  return { view, wishes };
}

const waiting = (policy: UpdatePolicy): Partial<UpdateRecord> => ({
  phase: 'waiting',
  current: installed('1.0.0'),
  previous: installed('0.9.0'),
  incoming: { release: release('2.0.0'), manifest: undefined, soakMs: 0, policy, acceptedAt: 0 },
});

test('a deferral ends with the longest one that the policy allows', () => {
  const { view, wishes } = viewOf(waiting({ maxDeferralMs: 2 * HOUR }));
  expect(view.defer(5 * HOUR, 'ada')).toEqual({
    wish: 'defer',
    result: 'accepted',
    release: 'demo 2.0.0',
    until: 2 * HOUR,
  });
  expect(wishes).toEqual([['defer', 2 * HOUR, 'ada']]);
});

test('what would not hold is refused, not taken silently', () => {
  const urgent = viewOf(waiting({ urgent: { by: 'grace' } })).view.defer(HOUR, 'ada');
  expect(urgent).toEqual({
    code: 'update-refused',
    refused: expect.stringContaining('grace made it urgent'),
  });
  const late = viewOf(waiting({ maxDeferralMs: HOUR })).view.defer(HOUR, 'ada');
  expect(late).toMatchObject({ code: 'update-refused' });
  const soaking = viewOf({ ...waiting({}), phase: 'soaking' });
  expect(soaking.view.consent('ada')).toMatchObject({ code: 'update-refused' });
  expect(soaking.wishes).toEqual([]);
});

test('a bundle is taken, or refused in its own words', async () => {
  const { view, wishes } = viewOf({});
  expect(await view.apply('/stick', 'ada')).toEqual({
    wish: 'apply',
    result: 'accepted',
    release: 'demo 2.0.0',
    root: { version: 3, sha256: 'ab' },
  });
  expect(wishes).toEqual([['apply', '/stick', 'ada']]);
  expect(await view.apply('/none', 'ada')).toMatchObject({ refused: 'Cannot apply /none: it is empty' });
});

test('without a root of trust no bundle is looked at', async () => {
  const { view, wishes } = viewOf({}, 'accepted', { ok: false, message: 'this device has none' });
  expect(await view.apply('/stick', 'ada')).toEqual({
    code: 'update-refused',
    refused: 'Cannot apply /stick: this device has none',
  });
  expect(wishes).toEqual([]);
});

test('nothing on its way is nothing to agree to', () => {
  expect(viewOf({}).view.consent('ada')).toMatchObject({ code: 'no-update' });
  expect(viewOf({}).view.defer(1, 'ada')).toMatchObject({ code: 'no-update' });
});

test('a rollback needs a release from before and nothing on its way', () => {
  const settled = { phase: 'committed' as const, current: installed('2.0.0') };
  expect(viewOf(settled).view.rollBack('ada')).toMatchObject({ code: 'no-update' });
  expect(viewOf(waiting({})).view.rollBack('ada')).toMatchObject({ code: 'update-refused' });
  const below = { ...settled, previous: installed('1.0.0'), floors: { demo: 1 } };
  expect(viewOf(below).view.rollBack('ada')).toMatchObject({ refused: expect.stringContaining('floor') });
  const { view } = viewOf({ ...settled, previous: installed('1.0.0') });
  expect(view.rollBack('ada')).toEqual({ wish: 'rollback', result: 'accepted', release: 'demo 1.0.0' });
});

test('a wish that the disk does not take yet is told as held', () => {
  expect(viewOf(waiting({}), 'held').view.consent('ada')).toMatchObject({ result: 'held' });
});
