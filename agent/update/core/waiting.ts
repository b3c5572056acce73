import type { ReasonCode } from '../../../protocol/reasons.ts';
import { type HoldSubject, holdFetch, holdSwitch, isSameHold } from './hold.ts';
import { type IncomingRelease, labelOf, type UpdateRecord } from './record.ts';
import { enter, type Transition, type UpdateContext, unchanged } from './transition.ts';
import { systemsAtSwitch } from './trial.ts';

export const subjectOf = ({
  policy = {},
  acceptedAt = 0,
  consent,
  deferredUntil,
}: IncomingRelease): HoldSubject => ({
  policy,
  acceptedAt,
  consent,
  deferredUntil,
});

/** A wish at the device, before the switch: durable and told, and what follows from it is seen at the next look. */
export function wished(
  record: UpdateRecord,
  incoming: IncomingRelease,
  event: { code: ReasonCode; message: string },
): Transition {
  if (record.phase === 'switching' || record.phase === 'soaking') return unchanged(record);
  const said = { ...event, release: incoming.release, phase: record.phase };
  return { record: { ...record, incoming }, effects: [], events: [said], isDurable: true };
}

/** The release is ready: it takes over, or waits for something that has a name. */
export function switchOrWait(
  record: UpdateRecord,
  incoming: IncomingRelease,
  context: UpdateContext,
): Transition {
  const { facts, now, at } = context;
  const hold = holdSwitch(subjectOf(incoming), facts, { now, at });
  if (!hold) {
    const mustReach = facts.isOnline && incoming.policy?.commitOffline === undefined;
    // What runs now is what to fall back to.
    const agent = incoming.agent === undefined ? record.agent : context.agent?.running;
    const { system, brought } = systemsAtSwitch(record, incoming, context);
    const due = { ...incoming, system: brought, switchedAt: at };
    const switched = mustReach ? { ...due, mustReach: true as const } : due;
    const why = brought?.trial && {
      code: 'update.system-trial' as const,
      message: `${labelOf(incoming.release)} brings the system ${brought.id}: rebooting into slot ${brought.slot}, once`,
    };
    const change = { resumes: 0, incoming: switched, agent, system };
    return enter(record, 'switching', context, change, ['apply'], why);
  }
  if (record.phase !== 'waiting') return enter(record, 'waiting', context, {}, [], hold);
  // What is waited for may change many times; the record on disk need not.
  if (isSameHold(record.reason, hold)) return unchanged(record);
  return { ...unchanged(record), record: { ...record, reason: { ...hold, at } } };
}

/** Whether what was waited for is there, or what goes on has to wait. */
export function look(record: UpdateRecord, context: UpdateContext): Transition {
  const { incoming, phase } = record;
  if (!incoming || (phase !== 'waiting' && phase !== 'fetching')) return unchanged(record);
  if (phase === 'waiting' && incoming.isReady) return switchOrWait(record, incoming, context);
  const hold = holdFetch(subjectOf(incoming), context.facts);
  if (hold && phase === 'fetching') return enter(record, 'waiting', context, {}, ['stop-fetch'], hold);
  if (!hold && phase === 'waiting') return enter(record, 'fetching', context, {}, ['fetch']);
  return unchanged(record);
}
