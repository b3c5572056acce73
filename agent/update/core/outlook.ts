import type { UpdateStatus } from '../../../protocol/messages.ts';
import type { ReasonCode } from '../../../protocol/reasons.ts';
import type { UpdatePolicy } from '../../../protocol/update-policy.ts';
import type { Slot } from '../ports.ts';
import type { Lease, SwitchFacts } from './hold.ts';
import { type IncomingSystem, isBelowFloor, type ReleaseRef, type UpdateRecord } from './record.ts';

/** Where an update stands and what may hold it. Times are Unix ms. */
export interface UpdateOutlook extends UpdateStatus {
  /** When what is waited for comes at the latest; absent when nothing is, or when no clock tells. */
  waitsUntil?: number;
  current?: ReleaseRef;
  /** What a rollback by hand goes back to. */
  previous?: ReleaseRef;
  incoming?: IncomingOutlook;
  /** The system that boots when none is tried; absent while no release has brought one. */
  system?: { id: string; slot: Slot };
}

export interface IncomingOutlook {
  release: ReleaseRef;
  acceptedAt?: number;
  policy: UpdatePolicy;
  /** Whether a window is open; absent without windows. */
  window?: { isOpen: boolean; opensAt?: number };
  consent?: { by?: string };
  deferredUntil?: number;
  /** The system that it brings. `slot`: where it lies; absent until it does. `isTried`: this boot is its trial. */
  system?: { id: string; slot?: Slot; isTried: boolean };
  /** From then on neither a window, a lease nor a deferral holds it. */
  overdueAt?: number;
}

export function outlookOf(record: UpdateRecord, status: UpdateStatus, facts: SwitchFacts): UpdateOutlook {
  const { current, previous, system } = record;
  const incoming = incomingOf(record, facts);
  const waitsUntil = incoming && endOfWait(status, incoming, facts.leases);
  return {
    ...status,
    ...(waitsUntil !== undefined && { waitsUntil }),
    ...(current && { current: current.release }),
    ...(previous && !isBelowFloor(record, previous) && { previous: previous.release }),
    ...(incoming && { incoming }),
    ...(system && { system: { id: system.id, slot: system.slot } }),
  };
}

function incomingOf({ incoming }: UpdateRecord, { window }: SwitchFacts): IncomingOutlook | undefined {
  if (!incoming) return undefined;
  const { release, policy = {}, acceptedAt, consent, deferredUntil, system } = incoming;
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
    ...(system && { system: systemOf(system) }),
  };
}

const systemOf = ({ id, slot, trial }: IncomingSystem): IncomingOutlook['system'] => ({
  id,
  ...(slot && { slot }),
  isTried: trial?.isReached === true,
});

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
