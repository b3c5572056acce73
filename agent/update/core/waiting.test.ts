import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Assignment } from '../../../protocol/assignment.ts';
import type { UpdatePolicy } from '../../../protocol/update-policy.ts';
import { type HoldSubject, holdSwitch, NOTHING_KNOWN, type SwitchFacts } from './hold.ts';
import { advance } from './machine.ts';
import { EMPTY_RECORD, type UpdateRecord } from './record.ts';
import type { Transition, UpdateInput } from './transition.ts';

const HOUR = 3_600_000;
const T0 = 1_000 * HOUR;
const WELL = { isConverged: true, isFailed: false, unhealthy: [] };
const AFTER = { now: T0 + 2 * HOUR, at: T0 + 2 * HOUR };
const CLOSED = { isOpen: false, opensAt: T0 + 5 * HOUR };

/** A device with release 1 in force; each input is given at the time and with the facts it stands in. */
class Device {
  now = T0;
  /** Its own clock, where it is another. */
  at: number | undefined;
  facts: SwitchFacts = { ...NOTHING_KNOWN, isOnline: true };
  record: UpdateRecord = EMPTY_RECORD;
  effects: string[] = [];
  events: string[] = [];

  constructor() {
    this.offer(1, {});
    this.fetched();
    this.soaks();
    assert.equal(this.record.phase, 'committed');
    this.effects = [];
    this.events = [];
  }

  step(input: UpdateInput): Transition {
    const { now, at = now, facts } = this;
    const next = advance(this.record, input, { device: 'd', board: 'b', at, now, facts });
    this.record = next.record;
    this.effects.push(...next.effects);
    this.events.push(...next.events.map(({ code }) => code));
    for (const effect of next.effects) {
      if (effect === 'stage') this.step({ type: 'staged' });
      if (effect === 'switch') this.step({ type: 'switch' });
    }
    return next;
  }

  offer(generation: number, policy: UpdatePolicy, letter = String(generation)): void {
    const release = { name: 'demo', version: letter, manifest: letter.padStart(64, '0') };
    const times = { issuedAt: T0, expiresAt: T0 + 1_000 * HOUR };
    const assignment: Assignment = {
      type: 'assignment',
      v: 1,
      device: 'd',
      board: 'b',
      generation,
      release,
      policy,
      ...times,
    };
    this.step({ type: 'assigned', assignment });
  }

  fetched(): void {
    this.step({ type: 'manifest-checked', manifest: '{}', soakMs: 100 });
    this.step({ type: 'blobs-verified' });
  }

  soaks(looks = 4): void {
    for (let look = 0; look < looks; look++) this.step({ type: 'health', health: WELL, elapsedMs: 50 });
  }

  reason(): string | undefined {
    return this.record.reason?.code;
  }
}

describe('a release that is ready', () => {
  test('waits for its window, says which, and switches when it opens', () => {
    const device = new Device();
    device.facts = { ...device.facts, window: CLOSED };
    device.offer(2, { windows: [{ schedule: '0 2 * * *', minutes: 60 }] });
    device.fetched();
    expect(device.record).toMatchObject({ phase: 'waiting', reason: { code: 'wait.window' } });
    expect(device.record.reason?.message).toContain(new Date(CLOSED.opensAt).toISOString().slice(0, 16));
    expect(device.step({ type: 'look' }).isDurable).toBe(false);
    device.facts = { ...device.facts, window: { isOpen: true, opensAt: undefined } };
    device.step({ type: 'look' });
    expect(device.record.phase).toBe('switching');
  });

  test('waits for a lease to run out or the longest deferral to pass, whichever comes first', () => {
    const device = new Device();
    const lease = { holder: 'ann', why: 'calibrating', until: T0 + 50 * HOUR };
    device.facts = { ...device.facts, leases: [lease] };
    device.offer(2, { maxDeferralMs: 10 * HOUR });
    device.fetched();
    expect(device.record.reason).toMatchObject({
      code: 'wait.lease',
      message: expect.stringContaining('calibrating'),
    });
    device.now = T0 + 10 * HOUR;
    device.step({ type: 'look' });
    expect(device.record.phase).toBe('switching');
  });

  test('is held by a service that is always busy for a day, by a person for longer', () => {
    const device = new Device();
    const lease = { holder: 'web', why: 'busy', until: T0 + 100 * HOUR };
    device.facts = { ...device.facts, leases: [{ ...lease, isService: true }] };
    device.offer(2, {});
    device.fetched();
    device.now = T0 + 24 * HOUR - 1;
    device.step({ type: 'look' });
    expect(device.reason()).toBe('wait.lease');
    device.now += 1;
    device.facts = { ...device.facts, leases: [lease] };
    device.step({ type: 'look' });
    expect(device.reason()).toBe('wait.lease');
    device.facts = { ...device.facts, leases: [{ ...lease, isService: true }] };
    device.step({ type: 'look' });
    expect(device.record.phase).toBe('switching');
  });

  test('switches at once when it is urgent, but not without consent', () => {
    const device = new Device();
    const lease = { holder: 'ann', why: 'busy', until: T0 + HOUR };
    device.facts = { ...device.facts, leases: [lease], window: CLOSED };
    device.offer(2, {
      urgent: { by: 'op' },
      consent: 'required',
      windows: [{ schedule: '0 2 * * *', minutes: 1 }],
    });
    device.fetched();
    expect(device.reason()).toBe('wait.consent');
    expect(device.step({ type: 'consent', by: 'ann' }).isDurable).toBe(true);
    expect(device.events).toContain('update.consented');
    device.step({ type: 'look' });
    expect(device.record.phase).toBe('switching');
  });

  test('is put off by hand, and an urgent assignment of the same release takes that back', () => {
    const device = new Device();
    device.facts = { ...device.facts, window: CLOSED };
    device.offer(2, { windows: [{ schedule: '0 2 * * *', minutes: 1 }] });
    device.fetched();
    device.step({ type: 'defer', until: T0 + 100 * HOUR, by: 'ann' });
    device.step({ type: 'look' });
    expect(device.reason()).toBe('wait.deferred');
    device.offer(3, { urgent: { by: 'op' } }, '2');
    expect(device.effects.filter((effect) => effect === 'fetch')).toHaveLength(1);
    device.step({ type: 'look' });
    expect(device.record.phase).toBe('switching');
  });

  test('is held by who says so in the time of a board that has none', () => {
    const device = new Device();
    device.offer(2, {});
    device.at = HOUR;
    device.step({ type: 'defer', until: 2 * HOUR, by: 'ann' });
    device.fetched();
    expect(device.reason()).toBe('wait.deferred');
    device.at = 2 * HOUR;
    device.facts = { ...device.facts, leases: [{ holder: 'bob', why: '', until: 3 * HOUR }] };
    device.step({ type: 'look' });
    expect(device.reason()).toBe('wait.lease');
    device.at = 3 * HOUR;
    device.step({ type: 'look' });
    expect(device.record.phase).toBe('switching');
  });

  test('needs no network after a restart of the agent', () => {
    const device = new Device();
    device.facts = { ...device.facts, window: CLOSED, isOnline: false };
    device.offer(2, { windows: [{ schedule: '0 2 * * *', minutes: 1 }] });
    device.fetched();
    device.effects = [];
    device.step({ type: 'started' });
    expect(device.effects).toEqual(['apply', 'stage', 'switch']);
    expect(device.record.phase).toBe('waiting');
  });

  test('gives way to a newer assignment', () => {
    const device = new Device();
    device.facts = { ...device.facts, window: CLOSED };
    device.offer(2, { windows: [{ schedule: '0 2 * * *', minutes: 1 }] });
    device.fetched();
    device.offer(3, {});
    expect(device.events).toContain('update.superseded');
    device.fetched();
    expect(device.record).toMatchObject({ phase: 'switching', incoming: { release: { generation: 3 } } });
  });
});

test('nothing is fetched over a metered link, and a download stops when the link becomes one', () => {
  const device = new Device();
  device.facts = { ...device.facts, link: 'metered' };
  device.offer(2, { metered: 'wait' });
  expect(device.record).toMatchObject({ phase: 'waiting', reason: { code: 'wait.metered' } });
  expect(device.effects).not.toContain('fetch');
  device.facts = { ...device.facts, link: 'unmetered' };
  device.step({ type: 'look' });
  expect(device.record.phase).toBe('fetching');
  device.facts = { ...device.facts, link: 'metered' };
  expect(device.step({ type: 'look' }).effects).toEqual(['stop-fetch']);
  expect(device.record.phase).toBe('waiting');
});

describe('a soak', () => {
  test('is not passed while the server that was there before is not reached', () => {
    const device = new Device();
    device.offer(2, {});
    device.fetched();
    device.facts = { ...device.facts, isOnline: false };
    device.soaks(100);
    expect(device.record.phase).toBe('soaking');
    device.facts = { ...device.facts, isOnline: true };
    device.soaks(1);
    expect(device.record.phase).toBe('committed');
  });

  test('fails in the end when the server stays away, unless the policy says offline is fine', () => {
    const device = new Device();
    device.offer(2, {});
    device.fetched();
    device.facts = { ...device.facts, isOnline: false };
    device.step({ type: 'health', health: WELL, elapsedMs: 50 });
    device.step({ type: 'health', health: WELL, elapsedMs: 200_000 });
    expect(device.record.phase).toBe('soaking');
    device.step({ type: 'health', health: WELL, elapsedMs: 600_000 });
    expect(device.record.reason?.message).toContain('the server has not been reached');
    const relaxed = new Device();
    relaxed.offer(2, { commitOffline: true });
    relaxed.fetched();
    relaxed.facts = { ...relaxed.facts, isOnline: false };
    relaxed.soaks();
    expect(relaxed.record.phase).toBe('committed');
  });

  test('fails when a service runs out of memory, but not for one that did before the switch', () => {
    const device = new Device();
    device.offer(2, {});
    device.fetched();
    const before = { ...WELL, outOfMemory: { service: 'web', at: T0 - 1 } };
    device.step({ type: 'health', health: before, elapsedMs: 50 });
    expect(device.record.phase).toBe('soaking');
    device.step({
      type: 'health',
      health: { ...WELL, outOfMemory: { service: 'web', at: T0 + 1 } },
      elapsedMs: 50,
    });
    expect(device.record).toMatchObject({
      phase: 'rolling_back',
      reason: { message: expect.stringContaining('web') },
    });
  });
});

test('a release is rolled back by hand once, is remembered as bad, and not while another is on its way', () => {
  const device = new Device();
  device.offer(2, {});
  device.fetched();
  expect(device.step({ type: 'roll-back', by: 'ann' }).isDurable).toBe(false);
  device.soaks();
  device.step({ type: 'roll-back', by: 'ann' });
  device.soaks(1);
  expect(device.record).toMatchObject({ phase: 'rolled_back', current: { release: { version: '1' } } });
  expect(device.step({ type: 'roll-back', by: 'ann' }).isDurable).toBe(false);
  device.offer(3, {}, '2');
  expect(device.reason()).toBe('refused.bad-release');
});

test('a wait has an end: what holds a switch is asked for by the policy or by somebody at the device', () => {
  const subject = fc.record<HoldSubject>({
    policy: fc.record<UpdatePolicy>(
      {
        windows: fc.constant([{ schedule: '0 2 * * *', minutes: 1 }]),
        maxDeferralMs: fc.integer({ min: 0, max: HOUR }),
        consent: fc.constant('required'),
        power: fc.constant('external'),
        urgent: fc.constant({ by: 'op' }),
      },
      { requiredKeys: [] },
    ),
    acceptedAt: fc.constant(T0),
    consent: fc.constantFrom(undefined, 'ann'),
    deferredUntil: fc.constantFrom(undefined, T0 + HOUR),
  });
  const facts = fc.record<SwitchFacts>({
    window: fc.constantFrom(CLOSED, { isOpen: true, opensAt: undefined }),
    leases: fc.constantFrom([], [{ holder: 'x', why: 'y', until: T0 + HOUR }]),
    power: fc.constantFrom('external', 'battery', 'unknown'),
    link: fc.constantFrom('metered', 'unmetered', 'unknown'),
    isOnline: fc.boolean(),
  });
  fc.assert(
    fc.property(subject, facts, (asked, known) => {
      const { policy } = asked;
      const reasons: Record<string, boolean> = {
        'wait.consent': policy.consent === 'required' && asked.consent === undefined,
        'wait.power': policy.power === 'external' && known.power !== 'external',
        'wait.deferred': policy.urgent === undefined && asked.deferredUntil !== undefined,
        'wait.lease': policy.urgent === undefined && known.leases.length > 0,
        'wait.window': policy.urgent === undefined && policy.windows !== undefined && !known.window.isOpen,
      };
      const code = holdSwitch(asked, known, { now: T0, at: T0 })?.code;
      assert.ok(code === undefined || reasons[code], code);
      const later = { ...known, power: 'external' as const, leases: [] };
      const open = { ...later, window: { isOpen: true, opensAt: undefined } };
      const agreed = { ...asked, consent: 'ann' };
      const isOverdue = policy.maxDeferralMs !== undefined;
      assert.equal(holdSwitch(agreed, isOverdue ? later : open, AFTER), undefined);
    }),
  );
});
