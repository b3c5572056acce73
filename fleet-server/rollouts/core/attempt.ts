import type { DeviceEvent, Report, UpdateStatus } from '../../../protocol/messages.ts';
import { type Attempt, ENDED_ATTEMPT_STATES } from '../../rest/api.ts';

/** One device's way to one release, as the server knows it. */
export interface AttemptState {
  state: Attempt['state'];
  generation: number;
  /** sha256 of the release's manifest. */
  manifest: string;
  progress: Attempt['progress'];
  reason: Attempt['reason'];
}

export const isEnded = (state: Attempt['state']): boolean => ENDED_ATTEMPT_STATES.includes(state);

/** The assignment went out. */
export function onSent(attempt: AttemptState, generation: number): AttemptState {
  return attempt.state === 'queued' && attempt.generation === generation
    ? { ...attempt, state: 'offered' }
    : attempt;
}

/**
 * The attempt after a report. Level-triggered: any report may be the first or the last that arrives, so the state
 * follows from the report alone and only an ended attempt stays as it is.
 */
export function onReport(attempt: AttemptState, report: Report): AttemptState {
  if (isEnded(attempt.state)) return attempt;
  const { update, current } = report;
  if (update.release?.generation === attempt.generation) return followPhase(attempt, update);
  // The device holds this assignment, is not at work and runs its release: the phases between were not heard.
  const isSettled = update.phase === 'idle' || update.phase === 'committed';
  if (isSettled && report.generation === attempt.generation && current?.manifest === attempt.manifest) {
    return { ...attempt, state: current.generation === attempt.generation ? 'committed' : 'already_current' };
  }
  return attempt;
}

/** An event may arrive when no report of its phase did: refusals and ends count at once. */
export function onEvent(attempt: AttemptState, event: DeviceEvent): AttemptState {
  if (isEnded(attempt.state) || event.kind !== 'update' || event.generation !== attempt.generation)
    return attempt;
  const ends = ['committed', 'rolled_back', 'refused'] as const;
  const phase = ends.find((end) => end === event.phase);
  if (!phase) return attempt;
  const { code, message, at } = event;
  return followPhase(attempt, { phase, since: at, reason: { code, message, at } });
}

function followPhase(attempt: AttemptState, update: UpdateStatus): AttemptState {
  const next = {
    ...attempt,
    progress: update.progress ?? attempt.progress,
    reason: update.reason ?? null,
  };
  switch (update.phase) {
    case 'fetching':
      return { ...next, state: 'downloading' };
    case 'waiting':
      return { ...next, state: 'waiting' };
    case 'verified':
    case 'staged':
    case 'switching':
      return { ...next, state: 'installing' };
    case 'soaking':
      return { ...next, state: 'soaking' };
    case 'committed':
      return { ...next, state: endOf(update.reason?.code) };
    case 'rolled_back':
      return { ...next, state: 'rolled_back' };
    case 'refused':
      return { ...next, state: 'rejected' };
    case 'idle':
    case 'rolling_back':
      return next;
  }
}

function endOf(code: string | undefined): 'already_current' | 'committed' | 'rolled_back' {
  if (code === 'update.current') return 'already_current';
  // It failed there as well; that it stays, and why, is in the reason.
  return code === 'update.kept' ? 'rolled_back' : 'committed';
}
