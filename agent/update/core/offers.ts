import type { Assignment } from '../../../protocol/assignment.ts';
import type { ReasonCode } from '../../../protocol/reasons.ts';
import { isBad, judgeAssignment } from './gate.ts';
import { holdFetch } from './hold.ts';
import {
  type IncomingRelease,
  isSameRelease,
  labelOf,
  type ReleaseRef,
  type UpdateRecord,
} from './record.ts';
import {
  enter,
  isUnderWay,
  type Transition,
  type UpdateContext,
  type UpdateEvent,
  type UpdateInput,
  unchanged,
} from './transition.ts';
import { subjectOf } from './waiting.ts';

/** An assignment whose signature holds: taken, known already, or refused. */
export function assigned(record: UpdateRecord, assignment: Assignment, context: UpdateContext): Transition {
  const judged = judgeAssignment(record, assignment, context);
  if (judged.verdict === 'known') return unchanged(record);
  const { release } = judged;
  const known = { ...record, trustedTime: Math.max(record.trustedTime, assignment.issuedAt) };
  if (judged.verdict === 'refuse')
    return refuseOffer(judged.isFinal ? { ...known, accepted: release } : record, release, judged, context);
  const accepted = { ...known, accepted: release };
  if (record.incoming && isSameRelease(record.incoming.release, release))
    return {
      record: {
        ...accepted,
        about: release,
        incoming: { ...record.incoming, release, policy: assignment.policy },
      },
      effects: [],
      events: [],
      isDurable: true,
    };
  return supersede(accepted, release, { policy: assignment.policy }, context);
}

/**
 * Somebody at the device stands in for the server: the generation stays that of the last assignment, so the next one
 * takes over again. Windows and leases are the server's; whoever is there decides.
 */
export function applied(
  record: UpdateRecord,
  { release: wanted, from, by }: Extract<UpdateInput, { type: 'applied' }>,
  context: UpdateContext,
): Transition {
  const release = { ...wanted, generation: record.accepted?.generation ?? 0 };
  if (isBad(record, release)) {
    const message = `Cannot apply ${labelOf(release)}: it failed on this device before`;
    return refuseOffer(record, release, { code: 'refused.bad-release', message }, context);
  }
  const asked = { policy: { commitOffline: true as const }, from, consent: by };
  return supersede(record, release, asked, context);
}

function supersede(
  record: UpdateRecord,
  release: ReleaseRef,
  asked: Pick<IncomingRelease, 'policy' | 'from' | 'consent'>,
  context: UpdateContext,
): Transition {
  const events: UpdateEvent[] = [];
  if (record.incoming) {
    const message = `${labelOf(record.incoming.release)} gave way to ${labelOf(release)}`;
    events.push({
      code: 'update.superseded',
      message,
      release: record.incoming.release,
      phase: record.phase,
    });
  }
  const fresh = { about: release, incoming: undefined, resumes: 0 };
  if (record.current && isSameRelease(record.current.release, release)) {
    const change = { ...fresh, current: { ...record.current, release } };
    const reason = { code: 'update.current', message: `${labelOf(release)} runs already` } as const;
    const next = enter(record, 'committed', context, change, ['stop-fetch', 'apply'], reason);
    return { ...next, events: [...events, ...next.events] };
  }
  const incoming = { release, manifest: undefined, soakMs: 0, ...asked, acceptedAt: context.now };
  const change = { ...fresh, incoming };
  const hold = holdFetch(subjectOf(incoming), context.facts);
  if (hold) {
    const next = enter(record, 'waiting', context, change, ['stop-fetch', 'apply'], hold);
    return { ...next, events: [...events, ...next.events] };
  }
  const reason = { code: 'update.offered', message: `${labelOf(release)} is to be fetched` } as const;
  const next = enter(record, 'fetching', context, change, ['stop-fetch', 'apply', 'fetch'], reason);
  return { ...next, events: [...events, ...next.events] };
}

/** A refused offer never disturbs what runs, nor an update that is under way. */
export function refuseOffer(
  record: UpdateRecord,
  release: ReleaseRef | undefined,
  { code, message }: { code: ReasonCode; message: string },
  context: UpdateContext,
): Transition {
  // The server sends again what it believes unheard: the same refusal twice is one event.
  const { reason } = record;
  if (record.phase === 'refused' && reason?.code === code && reason.message === message)
    return { ...unchanged(record), isDurable: true };
  if (!isUnderWay(record))
    return enter(record, 'refused', context, { about: release }, [], { code, message });
  return {
    record,
    effects: [],
    events: [{ code, message, release, phase: 'refused' }],
    isDurable: true,
  };
}
