import type { LeaseShown, PastUpdate, UpdateAnswer } from './answers.ts';
import { NOW } from './fake-status.ts';

const HOUR = 3_600_000;
const MiB = 1024 ** 2;
const release = (version: string, generation: number) => ({
  name: 'demo',
  version,
  manifest: (version[0] ?? '0').repeat(64),
  generation,
});

/** A release that waits for its window, with every rule that an assignment may carry. */
export const fakeUpdate = {
  phase: 'waiting',
  since: NOW - 12 * 60_000,
  release: release('2.0.0', 5),
  reason: {
    code: 'wait.window',
    message: 'Waits for the update window of 2026-11-22T02:00:00Z',
    at: NOW - 12 * 60_000,
  },
  metadata: { checkedAt: NOW - 2 * HOUR, expiresAt: NOW + 22 * HOUR },
  waitsUntil: NOW + 16 * HOUR,
  progress: { doneBytes: 13 * MiB, totalBytes: 13 * MiB, reusedBytes: 88 * MiB },
  current: release('1.0.0', 4),
  previous: release('0.9.0', 3),
  incoming: {
    release: release('2.0.0', 5),
    acceptedAt: NOW - 13 * 60_000,
    policy: {
      windows: [{ schedule: '0 2 * * *', minutes: 90 }],
      maxDeferralMs: 48 * HOUR,
      consent: 'required',
      metered: 'wait',
      power: 'external',
      commitOffline: true,
    },
    window: { isOpen: false, opensAt: NOW + 16 * HOUR },
    consent: { by: 'ada' },
    deferredUntil: NOW - HOUR,
    overdueAt: NOW + 47.75 * HOUR,
  },
} satisfies Omit<UpdateAnswer, 'leases'>;

/** The system that a release brings is tried; the one that would be gone back to is in the other slot. */
export const fakeTrial = {
  phase: 'soaking',
  since: NOW - 40_000,
  release: release('2.0.0', 5),
  metadata: { checkedAt: NOW - 2 * HOUR, expiresAt: NOW + 22 * HOUR },
  current: release('1.0.0', 4),
  previous: release('0.9.0', 3),
  system: { id: '13.2-1-4f0c7a92b1de', slot: 'a' },
  incoming: {
    release: release('2.0.0', 5),
    acceptedAt: NOW - 13 * 60_000,
    policy: {},
    system: { id: '13.2-4-9b03d1c2aa47', slot: 'b', isTried: true },
  },
} satisfies Omit<UpdateAnswer, 'leases'>;

export const fakePastUpdates: PastUpdate[] = [
  {
    at: NOW - 12 * 60_000,
    code: 'wait.window',
    message: 'Waits for the update window of 2026-11-22T02:00:00Z',
    phase: 'waiting',
    release: 'demo 2.0.0',
    generation: 5,
  },
  {
    at: NOW - 5 * HOUR,
    code: 'update.committed',
    message: 'demo 1.0.0 stayed well for 30 s',
    phase: 'committed',
    release: 'demo 1.0.0',
    generation: 4,
  },
];

export const fakeServiceLease: LeaseShown = {
  holder: 'web',
  why: 'a measurement is running',
  until: NOW + 20 * 60_000,
  kind: 'service',
};
