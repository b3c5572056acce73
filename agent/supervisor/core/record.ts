import { becauseOf, type Reason } from '../../../protocol/reasons.ts';
import type { ServiceState } from '../../../protocol/status.ts';
import type { Budget, ObservedContainer } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { afterFailure, blockedMs, judgeExit } from './restart-policy.ts';

/** What is remembered of a service from pass to pass, and across a death of the agent. Plain JSON. */
export interface ServiceRecord {
  v: 1;
  /** Specification that the counters below are about; empty for a container found without a record. */
  specDigest: string;
  state: ServiceState;
  /** When `state` was entered, Unix ms. */
  since: number;
  /** Starts under this specification. */
  starts: number;
  /** Failures in a row: reset by a run of `resetAfterMs`, a new specification or an operator. */
  failures: number;
  oomKills: number;
  /** Not to be started before this time, Unix ms. */
  retryAt?: number | undefined;
  /** Ended for good under this specification. */
  settled?: 'completed' | 'failed' | 'given-up' | undefined;
  /** The exit that was counted last, so that none counts twice. */
  lastExit?: string | undefined;
  /** A container, cgroup or mount may exist: to be removed before the next start. */
  holds: boolean;
  /** A removal failed; not tried again before this time, Unix ms. */
  cleanupAt?: number | undefined;
  /** How to stop what runs: the specification may be gone by then. */
  stop: ServiceSpec['stop'];
  budget: Budget;
  /** `isUnhealthy`: because its health check failed, so that the end counts as a failure. */
  stopping?: { at: number; killedAt?: number | undefined; isUnhealthy?: true | undefined } | undefined;
  /** What a start lacks, and when to look again, Unix ms. It and all below came after the first records and may be absent. */
  blocked?: { reason: Reason; until: number; looks?: number | undefined } | undefined;
  /** What was done to it last to relieve the device. */
  shed?: 'throttled' | 'stopped' | undefined;
  /** What its health check told last. */
  health?: 'healthy' | 'unhealthy' | undefined;
  /** Services that are to outlive it when both leave. */
  dependsOn?: string[] | undefined;
  /** When it asked for a reboot, Unix ms, and what became of that. */
  reboot?: { at: number; state: 'asked' | 'refused' | 'tried' } | undefined;
  /** Who asked for a restart that has not begun yet. */
  restartWanted?: string | undefined;
  /** In their words, if they said. */
  restartWhy?: string | undefined;
  /** Who asked for a start that has not begun yet, and why: what runs already stays. */
  startWanted?: { by: string; why?: string | undefined } | undefined;
  /** A stop by hand keeps it from starting, or did at the last look. */
  isHeld?: true | undefined;
  /** Newest first, at most REASONS_KEPT. */
  reasons: Reason[];
}

export const REASONS_KEPT = 16;
const DEFAULT_STOP = { signal: 'SIGTERM', graceMs: 10_000 };
const NO_BUDGET: Budget = { memoryMaxBytes: 0, cpuMax: 0, pidsMax: 0 };

/** Record of a service that was never started. */
export const newRecord = (spec: ServiceSpec | undefined, now: number): ServiceRecord => ({
  v: 1,
  specDigest: spec?.digest ?? '',
  state: 'stopped',
  since: now,
  starts: 0,
  failures: 0,
  oomKills: 0,
  holds: false,
  stop: spec?.stop ?? DEFAULT_STOP,
  budget: spec?.resources ?? NO_BUDGET,
  ...(spec?.dependsOn && { dependsOn: Object.keys(spec.dependsOn) }),
  reasons: [],
});

/** The same service under a new specification: counters anew, the chain of reasons goes on. */
export const renewed = (record: ServiceRecord, spec: ServiceSpec, now: number): ServiceRecord => ({
  ...newRecord(spec, now),
  state: record.state,
  since: record.since,
  restartWanted: record.restartWanted,
  restartWhy: record.restartWhy,
  startWanted: record.startWanted,
  isHeld: record.isHeld,
  shed: record.shed,
  reboot: record.reboot,
  reasons: record.reasons,
});

/** What somebody did, and why if they said. */
export const byHand = (did: string, why: string | undefined): string => (why ? `${did}: ${why}` : did);

export const withReason = (record: ServiceRecord, reason: Reason): ServiceRecord => ({
  ...record,
  reasons: [reason, ...record.reasons].slice(0, REASONS_KEPT),
});

export const inState = (record: ServiceRecord, state: ServiceState, now: number): ServiceRecord =>
  record.state === state ? record : { ...record, state, since: now };

/** The reason, with the newest one before it as what led to it. */
export const following = (record: ServiceRecord, reason: Reason): ServiceRecord =>
  withReason(record, becauseOf(reason, record.reasons[0]));

/** A start came through. One that had been held up is told only now: looking again is no news. */
export function noteStarted(record: ServiceRecord, reason: Reason): ServiceRecord {
  if (record.blocked === undefined) return record;
  return withReason({ ...record, blocked: undefined, starts: record.starts + 1 }, reason);
}

/** A start lacks something that may come. No failure; what the attempt left behind is removed first. */
export function noteBlocked(record: ServiceRecord, reason: Reason): ServiceRecord {
  const { blocked } = record;
  const looks = (blocked?.looks ?? 0) + 1;
  const until = reason.at + blockedMs(looks);
  const waiting = { ...inState(record, 'waiting', reason.at), holds: true, stopping: undefined };
  if (blocked?.reason.code === reason.code && blocked.reason.message === reason.message)
    return { ...waiting, blocked: { ...blocked, until, looks } };
  const starts = blocked === undefined ? Math.max(0, record.starts - 1) : record.starts;
  return withReason({ ...waiting, starts, blocked: { reason, until, looks } }, reason);
}

/** A start, or the container itself, failed. Counts as a failure; what it left behind is removed first. */
export function noteFailure(
  record: ServiceRecord,
  spec: ServiceSpec | undefined,
  reason: Reason,
): ServiceRecord {
  const cleared = { ...record, holds: true, stopping: undefined, blocked: undefined };
  const noted = withReason(cleared, reason);
  return spec === undefined ? noted : afterFailure(noted, spec.restart, reason.at, reason.at);
}

/** Counts an exit once. One that was asked for, or of a specification nobody wants now, is no failure. */
export function noteExit(
  record: ServiceRecord,
  spec: ServiceSpec | undefined,
  exit: Extract<ObservedContainer, { state: 'exited' }>,
  oomKills: number,
  now: number,
): ServiceRecord {
  const lastExit = `${exit.startedAt}:${exit.exitedAt}`;
  if (record.lastExit === lastExit) return record;
  const reason = exitReason(exit, oomKills, now);
  const ended = {
    ...record,
    lastExit,
    holds: true,
    stopping: undefined,
    oomKills: record.oomKills + oomKills,
  };
  const { stopping } = record;
  const noted = withReason(ended, stopping ? becauseOf(reason, record.reasons[0]) : reason);
  if (spec === undefined || spec.digest !== exit.specDigest || (stopping && !stopping.isUnhealthy))
    return { ...noted, retryAt: undefined };
  return stopping
    ? afterFailure(noted, spec.restart, exit.exitedAt, now)
    : judgeExit(noted, spec.restart, exit, now);
}

/** Counts a container that is neither running nor cleanly ended, once. One that was to end anyway is no failure. */
export function noteBroken(
  record: ServiceRecord,
  spec: ServiceSpec | undefined,
  { detail, specDigest }: Extract<ObservedContainer, { state: 'broken' }>,
  now: number,
): ServiceRecord {
  if (record.lastExit === 'broken') return record;
  const { stopping } = record;
  const reason: Reason = {
    code: specDigest === undefined ? 'fail.runtime' : 'exit.lost',
    message: detail,
    at: now,
  };
  const caused = stopping ? becauseOf(reason, record.reasons[0]) : reason;
  const isAsked = stopping !== undefined && !stopping.isUnhealthy;
  return { ...noteFailure(record, isAsked ? undefined : spec, caused), lastExit: 'broken' };
}

function exitReason(
  exit: Extract<ObservedContainer, { state: 'exited' }>,
  oomKills: number,
  now: number,
): Reason {
  // The end is the time of a file, by a clock that the kernel moves some milliseconds late.
  const ranMs = Math.max(0, exit.exitedAt - exit.startedAt);
  const after = `after ${(ranMs / 1000).toFixed(1)} s`;
  if (oomKills > 0)
    return { code: 'exit.oom', message: `Ran out of its memory budget and was killed ${after}`, at: now };
  return exit.signal === undefined
    ? { code: 'exit.code', message: `Exited with code ${exit.exitCode} ${after}`, at: now }
    : { code: 'exit.signal', message: `Killed by signal ${exit.signal} ${after}`, at: now };
}

/** Reasons that `after` holds and `before` did not, oldest first. */
export function newReasons(before: ServiceRecord | undefined, after: ServiceRecord): Reason[] {
  const known = new Set(before?.reasons);
  return after.reasons.filter((reason) => !known.has(reason)).reverse();
}

/** The reasons of two instances of a service, newest first. */
export const mergedReasons = (a: ServiceRecord, b: ServiceRecord): Reason[] =>
  [...a.reasons, ...b.reasons].sort((one, other) => other.at - one.at).slice(0, REASONS_KEPT);

/** The record as text that was written by an earlier run; undefined when it cannot be read. */
export function parseRecord(text: string): ServiceRecord | undefined {
  try {
    const record = JSON.parse(text) as ServiceRecord;
    return record.v === 1 && Array.isArray(record.reasons) ? record : undefined;
  } catch {
    return undefined;
  }
}
