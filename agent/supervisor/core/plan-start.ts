import { becauseOf, type Reason, type ReasonCode } from '../../../protocol/reasons.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { unmetDependency } from './dependencies.ts';
import { askForReboot } from './exhaustion.ts';
import type { Subject, Verdict } from './plan-service.ts';
import { byHand, following, inState, renewed, type ServiceRecord, withReason } from './record.ts';
import { BLOCKED_MAX_MS, CRASH_LOOP_FAILURES, dueAt } from './restart-policy.ts';
import { type HoldInForce, holdText } from './service-hold.ts';
import { effectiveBudget } from './shedding.ts';

/** Decides for a desired service of which nothing is there: it starts, or waits for something that has a name. */
export function begin(subject: Subject, spec: ServiceSpec, old: ServiceRecord): Verdict {
  const { name, effect, hold, world } = subject;
  const { now } = world;
  const isChanged = old.specDigest !== spec.digest;
  const known = isChanged ? renewed(old, spec, now) : old;
  if (hold !== undefined) return heldByHand(known, hold, now);
  const record = noteReleased(known, now);
  const replaced = [...(world.slots?.outgoing ?? [])].find(([, { by }]) => by === name)?.[0];
  const replaces = replaced !== undefined && record.starts === 0;
  const reason = startReason(record, (isChanged && old.starts > 0) || replaces, now);
  const heldBack = holdBack(subject, spec, record, reason);
  if (heldBack !== undefined) return heldBack;
  const isBlocked = record.blocked !== undefined;
  const starting: ServiceRecord = {
    ...inState(record, isBlocked ? 'waiting' : 'starting', now),
    starts: isBlocked ? record.starts : record.starts + 1,
    failures: isAskedFor(record) ? 0 : record.failures,
    retryAt: undefined,
    settled: undefined,
    lastExit: undefined,
    restartWanted: undefined,
    restartWhy: undefined,
    startWanted: undefined,
    health: undefined,
    shed: effect,
    holds: true,
  };
  const held = { ...spec, resources: effectiveBudget(spec.resources, effect) };
  return {
    record: isBlocked ? starting : withReason(starting, reason),
    step: { kind: 'start', service: name, spec: held, reason },
  };
}

/** What keeps it from starting now; an operator's wish overrules its own past, not the state of the device. */
function holdBack(
  subject: Subject,
  spec: ServiceSpec,
  record: ServiceRecord,
  reason: Reason,
): Verdict | undefined {
  const { name, effect, order, world } = subject;
  const { now } = world;
  if (!isAskedFor(record)) {
    const rested = rest(name, spec, record, reason, subject);
    if (rested !== undefined) return rested;
  }
  if (effect === 'stopped') {
    const shed: Reason = { code: 'wait.shed', message: 'Starts when the device has recovered', at: now };
    const waiting = { ...inState(record, 'shed', now), shed: effect };
    return waitingFor(waiting, becauseOf(shed, world.shedding.reason));
  }
  if (world.slots?.behind.has(name)) {
    const message = 'Waits for another version of it to end';
    return waitingFor(inState(record, 'waiting', now), { code: 'wait.dependency', message, at: now });
  }
  const unmet = unmetDependency(spec, order, world);
  if (unmet !== undefined) return waitingFor(inState(record, 'waiting', now), unmet);
  const { blocked } = record;
  // A wait longer than can be asked for means that the clock was set back meanwhile.
  const isBlocked = blocked && blocked.until > now && blocked.until - now <= BLOCKED_MAX_MS;
  if (!isBlocked || isAskedFor(record)) return undefined;
  return {
    record: inState(record, 'waiting', now),
    wait: { reason: blocked.reason, until: blocked.until },
  };
}

/** Somebody asked for this start: it overrules the service's own past. */
const isAskedFor = ({ restartWanted, startWanted }: ServiceRecord): boolean =>
  restartWanted !== undefined || startWanted !== undefined;

/** Stays as somebody left it, whatever its restart policy, the device or a release would do. */
export function heldByHand(record: ServiceRecord, hold: HoldInForce, now: number): Verdict {
  const held: ServiceRecord = { ...inState(record, 'stopped', now), isHeld: true };
  const waiting = waitingFor(held, { code: 'wait.by-hand', message: holdText(hold), at: now });
  return { ...waiting, wait: waiting.wait && { ...waiting.wait, until: hold.endsAt } };
}

/** A stop by hand that is over is part of the chain; one that somebody ended shows by the start. */
function noteReleased(record: ServiceRecord, now: number): ServiceRecord {
  if (record.isHeld === undefined) return record;
  const released = { ...record, isHeld: undefined };
  if (isAskedFor(record)) return released;
  return following(released, { code: 'hold.ended', message: 'The stop by hand is over', at: now });
}

/** Rests because of its own past: it is done for good, or backs off. */
function rest(
  name: string,
  spec: ServiceSpec,
  record: ServiceRecord,
  otherwise: Reason,
  { world }: Subject,
): Verdict | undefined {
  const { now } = world;
  const reason = record.reasons[0] ?? otherwise;
  const resting = inState(record, restingState(record), now);
  const hasFailed = record.settled !== undefined && record.settled !== 'completed';
  if (hasFailed && spec.restart.whenExhausted === 'reboot') return askForReboot(name, record, world);
  if (record.settled !== undefined) return { record: resting, wait: { reason, until: undefined } };
  const due = dueAt(record, spec.restart, now);
  return due > now ? { record: resting, wait: { reason, until: due } } : undefined;
}

/** Tells the wait once, not at each look. */
function waitingFor(record: ServiceRecord, reason: Reason): Verdict {
  const newest = record.reasons[0];
  const isTold = newest?.code === reason.code && newest.message === reason.message;
  return {
    record: isTold ? record : withReason(record, reason),
    wait: { reason: isTold ? newest : reason, until: undefined },
  };
}

function startReason(record: ServiceRecord, isChanged: boolean, now: number): Reason {
  const cause = record.reasons[0];
  const reason = (code: ReasonCode, message: string): Reason => becauseOf({ code, message, at: now }, cause);
  if (record.restartWanted !== undefined)
    return reason('start.operator', byHand(`${record.restartWanted} restarted it`, record.restartWhy));
  if (record.startWanted !== undefined)
    return reason('start.by-hand', byHand(`${record.startWanted.by} started it`, record.startWanted.why));
  if (isChanged) return reason('start.spec-changed', 'The release in force changes its specification');
  if (record.shed === 'stopped' && record.starts > 0)
    return reason('start.restored', 'The device has recovered');
  if (record.failures > 0) {
    const isUnhealthy = cause?.causes?.some(({ code }) => code === 'stop.unhealthy') === true;
    const message = `Started again after failure ${record.failures} in a row`;
    return reason(isUnhealthy ? 'start.unhealthy' : 'start.retry', message);
  }
  return reason('start.desired', 'The release in force holds it');
}

/** State of a desired service that does not run. */
export function restingState(record: ServiceRecord): ServiceRecord['state'] {
  if (record.settled !== undefined) return record.settled === 'completed' ? 'completed' : 'failed';
  if (record.shed === 'stopped') return 'shed';
  if (record.blocked !== undefined) return 'waiting';
  if (record.retryAt === undefined) return 'starting';
  return record.failures >= CRASH_LOOP_FAILURES ? 'crash_looping' : 'backing_off';
}
