import type { Assignment } from '../../../protocol/assignment.ts';
import type { UpdatePhase } from '../../../protocol/messages.ts';
import type { ReasonCode } from '../../../protocol/reasons.ts';
import type { WorkloadHealth } from '../ports.ts';
import { judgeAssignment } from './gate.ts';
import { isSameRelease, labelOf, type ReleaseRef, type UpdateRecord } from './record.ts';

export type UpdateInput =
  /** The process came up; effects of before may be half done. */
  | { type: 'started' }
  /** An assignment whose signature holds. */
  | { type: 'assigned'; assignment: Assignment }
  /** An offer that is not to be trusted at all: nothing in it is used. */
  | { type: 'offer-refused'; code: ReasonCode; message: string }
  /** The manifest of the incoming release passed every check. */
  | { type: 'manifest-checked'; manifest: string; soakMs: number }
  | { type: 'incoming-refused'; code: ReasonCode; message: string }
  | { type: 'source-failed'; message: string }
  | { type: 'blobs-verified' }
  | { type: 'staged' }
  | { type: 'switch' }
  /** `elapsedMs`: time since the last look, at least. */
  | { type: 'health'; health: WorkloadHealth; elapsedMs: number };

/** Each may be cut short or repeated; the record alone says what to do next. */
export type UpdateEffect = 'stop-fetch' | 'fetch' | 'stage' | 'switch' | 'apply' | 'collect';

export interface UpdateEvent {
  code: ReasonCode;
  message: string;
  release: ReleaseRef | undefined;
  phase: UpdatePhase;
}

export interface Transition {
  record: UpdateRecord;
  effects: UpdateEffect[];
  events: UpdateEvent[];
  /** False when only the tick counters moved: those need not survive a crash. */
  isDurable: boolean;
}

export interface UpdateContext {
  device: string;
  board: string;
  /** System clock, Unix milliseconds: stamps only. */
  at: number;
  /** Trusted time, Unix milliseconds: decides expiry. */
  now: number;
}

export const UPDATE_RULES = {
  /** A switch that has neither settled nor failed by then, beyond three soak times, is rolled back. */
  settleMs: 180_000,
  /** A rollback is called done after this even when the old release is not well either. */
  rollBackMs: 60_000,
  /** Agent starts that one switch survives. */
  resumes: 3,
  badReleases: 16,
} as const;

/** The update machine: what an input does to the record, and what is to be done about it once that is durable. */
export function advance(record: UpdateRecord, input: UpdateInput, context: UpdateContext): Transition {
  switch (input.type) {
    case 'started':
      return resume(record, context);
    case 'assigned':
      return assigned(record, input.assignment, context);
    case 'offer-refused':
      return refuseOffer(record, undefined, input, context);
    case 'health':
      return healthSeen(record, input.health, input.elapsedMs, context);
    default:
      return incomingMoved(record, input, context);
  }
}

function resume(record: UpdateRecord, context: UpdateContext): Transition {
  switch (record.phase) {
    case 'fetching':
    case 'verified':
    case 'staged':
      // Fetch again from the top: whatever is whole already costs nothing, whatever was lost is noticed.
      return enter(record, 'fetching', context, {}, ['apply', 'fetch']);
    case 'switching':
    case 'soaking': {
      const resumes = record.resumes + 1;
      if (resumes > UPDATE_RULES.resumes)
        return rollBack(record, `the agent was started ${resumes} times since the switch`, context);
      return enter(record, 'switching', context, { resumes }, ['apply']);
    }
    default:
      return { record, effects: ['apply'], events: [], isDurable: false };
  }
}

function assigned(record: UpdateRecord, assignment: Assignment, context: UpdateContext): Transition {
  const judged = judgeAssignment(record, assignment, context);
  if (judged.verdict === 'known') return unchanged(record);
  const { release } = judged;
  const known = { ...record, trustedTime: Math.max(record.trustedTime, assignment.issuedAt) };
  if (judged.verdict === 'refuse')
    return refuseOffer(judged.isFinal ? { ...known, accepted: release } : record, release, judged, context);
  const accepted = { ...known, accepted: release };
  if (record.incoming && isSameRelease(record.incoming.release, release))
    return {
      record: { ...accepted, about: release, incoming: { ...record.incoming, release } },
      effects: [],
      events: [],
      isDurable: true,
    };
  return supersede(accepted, release, context);
}

function supersede(record: UpdateRecord, release: ReleaseRef, context: UpdateContext): Transition {
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
  const change = { ...fresh, incoming: { release, manifest: undefined, soakMs: 0 } };
  const reason = { code: 'update.offered', message: `${labelOf(release)} is to be fetched` } as const;
  const next = enter(record, 'fetching', context, change, ['stop-fetch', 'apply', 'fetch'], reason);
  return { ...next, events: [...events, ...next.events] };
}

/** A refused offer never disturbs what runs, nor an update that is under way. */
function refuseOffer(
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

function incomingMoved(
  record: UpdateRecord,
  input: Exclude<UpdateInput, { type: 'started' | 'assigned' | 'offer-refused' | 'health' }>,
  context: UpdateContext,
): Transition {
  const { incoming, phase } = record;
  if (!incoming) return unchanged(record);
  switch (input.type) {
    case 'incoming-refused': {
      if (phase !== 'fetching' && phase !== 'verified' && phase !== 'staged') return unchanged(record);
      const { code, message } = input;
      return enter(record, 'refused', context, { incoming: undefined }, [], { code, message });
    }
    case 'manifest-checked': {
      if (phase !== 'fetching') return unchanged(record);
      const { manifest, soakMs } = input;
      const next = { ...record, reason: undefined, incoming: { ...incoming, manifest, soakMs } };
      return { record: next, effects: [], events: [], isDurable: true };
    }
    case 'source-failed': {
      if (phase !== 'fetching') return unchanged(record);
      const reason = { code: 'retry.source' as const, message: clip(input.message), at: context.at };
      return { record: { ...record, reason }, effects: [], events: [], isDurable: false };
    }
    case 'blobs-verified':
      return phase === 'fetching' && incoming.manifest !== undefined
        ? enter(record, 'verified', context, {}, ['stage'])
        : unchanged(record);
    case 'staged':
      return phase === 'verified' ? enter(record, 'staged', context, {}, ['switch']) : unchanged(record);
    case 'switch':
      return phase === 'staged'
        ? enter(record, 'switching', context, { resumes: 0 }, ['apply'])
        : unchanged(record);
  }
}

function healthSeen(
  record: UpdateRecord,
  health: WorkloadHealth,
  elapsedMs: number,
  context: UpdateContext,
): Transition {
  const { phase, incoming } = record;
  const phaseMs = record.phaseMs + elapsedMs;
  if (phase === 'rolling_back') {
    return health.isConverged || health.isFailed || phaseMs > UPDATE_RULES.rollBackMs
      ? rolledBack(record, context)
      : ticked({ ...record, phaseMs });
  }
  if ((phase !== 'switching' && phase !== 'soaking') || !incoming) return unchanged(record);
  if (health.isFailed) return rollBack(record, complaint(health, 'a service failed'), context);
  if (phaseMs > UPDATE_RULES.settleMs + 3 * incoming.soakMs)
    return rollBack(record, complaint(health, 'it did not settle in time'), context);
  if (!health.isConverged) return ticked({ ...record, phaseMs, healthyMs: 0 });
  if (phase === 'switching') return enter(record, 'soaking', context, {}, []);
  const healthyMs = record.healthyMs + elapsedMs;
  return healthyMs >= incoming.soakMs ? commit(record, context) : ticked({ ...record, phaseMs, healthyMs });
}

function commit(record: UpdateRecord, context: UpdateContext): Transition {
  const { incoming, current } = record;
  if (incoming?.manifest === undefined) return unchanged(record);
  const { release, manifest } = incoming;
  const change = { current: { release, manifest }, previous: current, incoming: undefined, bad: [] };
  return enter(record, 'committed', context, change, ['collect'], {
    code: 'update.committed',
    message: `${labelOf(release)} stayed well for ${incoming.soakMs / 1000} s`,
  });
}

function rollBack(record: UpdateRecord, why: string, context: UpdateContext): Transition {
  const { incoming, current } = record;
  if (!incoming) return unchanged(record);
  const bad = [...record.bad, incoming.release.manifest].slice(-UPDATE_RULES.badReleases);
  const next = enter(record, 'rolling_back', context, { incoming: undefined, bad }, ['apply']);
  const back = current ? labelOf(current.release) : 'no release';
  const message = clip(`${labelOf(incoming.release)} rolled back to ${back}: ${why}`);
  const reason = { code: 'update.rolled-back' as const, message, at: context.at };
  return { ...next, record: { ...next.record, reason } };
}

function rolledBack(record: UpdateRecord, context: UpdateContext): Transition {
  const message = record.reason?.message ?? 'The release did not stay healthy';
  return enter(record, 'rolled_back', context, {}, [], { code: 'update.rolled-back', message });
}

/** Moves to a phase; a reason given here is also an event. */
function enter(
  record: UpdateRecord,
  phase: UpdatePhase,
  context: UpdateContext,
  change: Partial<UpdateRecord>,
  effects: UpdateEffect[],
  why?: { code: ReasonCode; message: string },
): Transition {
  const message = clip(why?.message ?? '');
  const reason = why && { code: why.code, message, at: context.at };
  const moved = { phase, since: context.at, phaseMs: 0, healthyMs: 0, reason };
  const next: UpdateRecord = { ...record, ...moved, ...change };
  const events = why ? [{ code: why.code, message, release: next.about, phase }] : [];
  return { record: next, effects, events, isDurable: true };
}

const unchanged = (record: UpdateRecord): Transition => ({
  record,
  effects: [],
  events: [],
  isDurable: false,
});
const ticked = unchanged;

const isUnderWay = (record: UpdateRecord): boolean =>
  record.incoming !== undefined || record.phase === 'rolling_back';

const complaint = (health: WorkloadHealth, otherwise: string): string =>
  health.unhealthy.map(({ service, message }) => `${service}: ${message}`).join('; ') || otherwise;

/** Messages on the wire hold at most 1024 characters (protocol/messages.ts). */
const clip = (message: string): string => (message.length > 1000 ? `${message.slice(0, 999)}…` : message);
