import type { Reason, ReasonCode } from '../../../protocol/reasons.ts';
import type { ObservedContainer } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { budgetText, holdsBudget } from './budget.ts';
import type { Step, World } from './plan.ts';
import {
  inState,
  newRecord,
  noteExit,
  noteFailure,
  renewed,
  type ServiceRecord,
  withReason,
} from './record.ts';
import { CRASH_LOOP_FAILURES, dueAt } from './restart-policy.ts';

export interface Subject {
  name: string;
  spec: ServiceSpec | undefined;
  container: ObservedContainer | undefined;
  record: ServiceRecord | undefined;
  world: World;
}

/** The outcome for one service: its new record and at most one of a step and a wait. */
export interface Verdict {
  record: ServiceRecord;
  step?: Step;
  wait?: { reason: Reason; until: number | undefined };
  /** When to look again although nothing is waited for. */
  wakeAt?: number | undefined;
}

/** A killed process that is still there is stuck in the kernel; it is killed again at this pace. */
const KILL_AGAIN_MS = 5_000;

/** Decides for one service. Counts what happened to its container first, then compares with what is desired. */
export function planService(subject: Subject): Verdict {
  const { name, spec, container, world } = subject;
  const record = absorb(subject);
  if (container?.state === 'running') {
    const isWanted = spec?.digest === container.specDigest && record.restartWanted === undefined;
    return isWanted && record.stopping === undefined
      ? keep(subject, record, container)
      : end(subject, record);
  }
  if (container !== undefined || record.holds) return cleanUp(subject, record);
  // What is remembered of a service outlives a shutdown.
  if (world.isShuttingDown) return { record: inState(record, 'stopped', world.now) };
  if (spec === undefined) return { record, step: { kind: 'forget', service: name } };
  return begin(subject, spec, record, world.now);
}

/** The record with everything in it that the observation tells. */
function absorb({ spec, container, record, world, name }: Subject): ServiceRecord {
  const { now } = world;
  const isForeign = container !== undefined && container.specDigest !== spec?.digest;
  const known = record ?? newRecord(isForeign ? undefined : spec, now);
  switch (container?.state) {
    case 'exited':
      return noteExit(known, spec, container, world.oomKills.get(name) ?? 0, now);
    case 'broken':
      // Noted once: `failed` marks that this wreck was counted.
      return known.lastExit === 'broken'
        ? known
        : {
            ...noteFailure(known, spec, { code: 'fail.runtime', message: container.detail, at: now }),
            lastExit: 'broken',
          };
    case 'running':
      return absorbRunning(known, spec, container, world);
    case undefined:
      return known.stopping === undefined ? known : { ...known, stopping: undefined };
  }
}

function absorbRunning(
  record: ServiceRecord,
  spec: ServiceSpec | undefined,
  container: Extract<ObservedContainer, { state: 'running' }>,
  { now, isFirstPass }: World,
): ServiceRecord {
  let next = record.holds ? record : { ...record, holds: true };
  const isOwn = spec?.digest === container.specDigest;
  if (isOwn && next.specDigest !== spec.digest)
    next = { ...renewed(next, spec, now), holds: true, starts: 1 };
  if (isOwn && next.failures > 0 && now - container.startedAt >= spec.restart.resetAfterMs) {
    next = { ...next, failures: 0 };
  }
  if (!isFirstPass || next.stopping !== undefined) return next;
  const message = `Process ${container.pid} has been up for ${((now - container.startedAt) / 1000).toFixed(0)} s`;
  return withReason(next, { code: 'start.adopted', message, at: now });
}

function keep(
  { name, spec, world }: Subject,
  record: ServiceRecord,
  container: Extract<ObservedContainer, { state: 'running' }>,
): Verdict {
  const running = inState(record, 'running', world.now);
  const held = world.budgets.get(name);
  if (spec && held && !holdsBudget(spec.resources, held)) {
    const message = `The kernel held ${budgetText(held)} instead of ${budgetText(spec.resources)}`;
    const reason: Reason = { code: 'repair.budget', message, at: world.now };
    return {
      record: withReason(running, reason),
      step: { kind: 'repair-budget', service: name, budget: spec.resources, reason },
    };
  }
  const wakeAt = spec && record.failures > 0 ? container.startedAt + spec.restart.resetAfterMs : undefined;
  return { record: running, wakeAt };
}

/** Asks the process to end, and kills it when the grace has passed. */
function end(subject: Subject, record: ServiceRecord): Verdict {
  const { name, world } = subject;
  const { now } = world;
  const stopping = inState(record, 'stopping', now);
  // An agent that died may have written the stop down and not sent the signal: the next one sends it again.
  if (record.stopping === undefined || (world.isFirstPass && record.stopping.killedAt === undefined)) {
    const isAgain = record.stopping !== undefined;
    const reason = (isAgain ? record.reasons[0] : undefined) ?? stopReason(subject, record, now);
    return {
      record: { ...(isAgain ? stopping : withReason(stopping, reason)), stopping: { at: now } },
      step: { kind: 'stop', service: name, signal: record.stop.signal, reason },
      wakeAt: now + record.stop.graceMs,
    };
  }
  const { at, killedAt } = record.stopping;
  // A start of the grace that lies ahead means that the clock was set back: the grace is over.
  const graceEnd = at > now ? now : at + record.stop.graceMs;
  const next = killedAt === undefined || killedAt > now ? graceEnd : killedAt + KILL_AGAIN_MS;
  const reason = record.reasons[0] ?? stopReason(subject, record, now);
  if (now < next) return { record: stopping, wait: { reason, until: next } };
  return {
    record: { ...stopping, stopping: { at, killedAt: now } },
    step: { kind: 'kill', service: name, reason },
    wakeAt: now + KILL_AGAIN_MS,
  };
}

function stopReason({ spec, world }: Subject, record: ServiceRecord, now: number): Reason {
  const reason = (code: ReasonCode, message: string): Reason => ({ code, message, at: now });
  if (world.isShuttingDown) return reason('stop.shutdown', 'All services are being stopped');
  if (spec === undefined) return reason('stop.not-desired', 'The release in force does not hold it');
  return record.restartWanted === undefined
    ? reason('stop.spec-changed', 'The release in force changes its specification')
    : reason('stop.operator', `${record.restartWanted} restarted it`);
}

function cleanUp({ name, spec, world }: Subject, record: ServiceRecord): Verdict {
  const settled = inState(record, spec === undefined ? 'stopping' : restingState(record), world.now);
  const { cleanupAt } = record;
  const reason = record.reasons[0];
  if (cleanupAt !== undefined && cleanupAt > world.now && reason !== undefined) {
    return { record: settled, wait: { reason, until: cleanupAt } };
  }
  return { record: { ...settled, cleanupAt: undefined }, step: { kind: 'remove', service: name } };
}

function begin({ name }: Subject, spec: ServiceSpec, old: ServiceRecord, now: number): Verdict {
  const isChanged = old.specDigest !== spec.digest;
  const record = isChanged ? renewed(old, spec, now) : old;
  const reason = startReason(record, isChanged && old.starts > 0, now);
  if (record.restartWanted === undefined) {
    const waitsFor = record.reasons[0] ?? reason;
    const resting = inState(record, restingState(record), now);
    if (record.settled !== undefined)
      return { record: resting, wait: { reason: waitsFor, until: undefined } };
    const due = dueAt(record, spec.restart, now);
    if (due > now) return { record: resting, wait: { reason: waitsFor, until: due } };
  }
  const starting: ServiceRecord = {
    ...inState(record, 'starting', now),
    starts: record.starts + 1,
    failures: record.restartWanted === undefined ? record.failures : 0,
    retryAt: undefined,
    settled: undefined,
    lastExit: undefined,
    restartWanted: undefined,
    holds: true,
  };
  return { record: withReason(starting, reason), step: { kind: 'start', service: name, spec, reason } };
}

function startReason(record: ServiceRecord, isChanged: boolean, now: number): Reason {
  const reason = (code: ReasonCode, message: string): Reason => ({ code, message, at: now });
  if (record.restartWanted !== undefined)
    return reason('start.operator', `${record.restartWanted} restarted it`);
  if (isChanged) return reason('start.spec-changed', 'The release in force changes its specification');
  if (record.failures > 0)
    return reason('start.retry', `Started again after failure ${record.failures} in a row`);
  return reason('start.desired', 'The release in force holds it');
}

/** State of a desired service that does not run. */
function restingState(record: ServiceRecord): ServiceRecord['state'] {
  if (record.settled !== undefined) return record.settled === 'completed' ? 'completed' : 'failed';
  if (record.retryAt === undefined) return 'starting';
  return record.failures >= CRASH_LOOP_FAILURES ? 'crash_looping' : 'backing_off';
}
