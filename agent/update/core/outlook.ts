import type { UpdateStatus } from '../../../protocol/messages.ts';
import type { ReasonCode } from '../../../protocol/reasons.ts';
import type { UpdatePolicy } from '../../../protocol/update-policy.ts';
import type { Lease, SwitchFacts } from './hold.ts';
import { isBelowFloor, type ReleaseRef, type UpdateRecord } from './record.ts';

/** Where an update stands and what may hold it. Times are Unix ms. */
export interface UpdateOutlook extends UpdateStatus {
  /** When what is waited for comes at the latest; absent when nothing is, or when no clock tells. */
  waitsUntil?: number;
  current?: ReleaseRef;
  /** What a rollback by hand goes back to. */
  previous?: ReleaseRef;
  incoming?: IncomingOutlook;
}

export interface IncomingOutlook {
  release: ReleaseRef;
  acceptedAt?: number;
  policy: UpdatePolicy;
  /** Whether a window is open; absent without windows. */
  window?: { isOpen: boolean; opensAt?: number };
  consent?: { by?: string };
  deferredUntil?: number;
  /** From then on neither a window, a lease nor a deferral holds it. */
  overdueAt?: number;
}

export function outlookOf(record: UpdateRecord, status: UpdateStatus, facts: SwitchFacts): UpdateOutlook {
  const { current, previous } = record;
  const incoming = incomingOf(record, facts);
  const waitsUntil = incoming && endOfWait(status, incoming, facts.leases);
  return {
    ...status,
    ...(waitsUntil !== undefined && { waitsUntil }),
    ...(current && { current: current.release }),
    ...(previous && !isBelowFloor(record, previous) && { previous: previous.release }),
    ...(incoming && { incoming }),
  };
}

function incomingOf({ incoming }: UpdateRecord, { window }: SwitchFacts): IncomingOutlook | undefined {
  if (!incoming) return undefined;
  const { release, policy = {}, acceptedAt, consent, deferredUntil } = incoming;
  const overdueAt = overdueOf(policy, acceptedAt);
  const { isOpen, opensAt } = window;
  return {
    release,
    policy,
    ...(acceptedAt !== undefined && { acceptedAt }),
    ...(policy.windows && { window: { isOpen, ...(opensAt !== undefined && { opensAt }) } }),
    ...(policy.consent && { consent: consent === undefined ? {} : { by: consent } }),
    ...(deferredUntil !== undefined && { deferredUntil }),
    ...(overdueAt !== undefined && { overdueAt }),
  };
}

/** When waiting by hand, by lease or for a window ends whatever happens, Unix ms; undefined: never by itself. */
export const overdueOf = (policy: UpdatePolicy, acceptedAt: number | undefined): number | undefined =>
  policy.maxDeferralMs === undefined || acceptedAt === undefined
    ? undefined
    : acceptedAt + policy.maxDeferralMs;

function endOfWait(
  { phase, reason }: UpdateStatus,
  { window, deferredUntil, overdueAt }: IncomingOutlook,
  leases: readonly Lease[],
): number | undefined {
  if (phase !== 'waiting') return undefined;
  const ends: Partial<Record<ReasonCode, number | undefined>> = {
    'wait.window': window?.opensAt,
    'wait.deferred': deferredUntil,
    'wait.lease': leases.length === 0 ? undefined : Math.max(...leases.map(({ until }) => until)),
  };
  const end = reason && ends[reason.code];
  return end === undefined || overdueAt === undefined ? end : Math.min(end, overdueAt);
}
