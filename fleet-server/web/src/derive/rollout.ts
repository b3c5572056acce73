import type { Attempt, Rollout } from '../api/types.ts';
import { percent } from '../format/quantity.ts';
import { ROLLOUT_WORDS, type Word } from '../format/words.ts';

export interface Tally {
  total: number;
  done: number;
  moving: number;
  waiting: number;
  failed: number;
  superseded: number;
}

type Bucket = Exclude<keyof Tally, 'total'>;

const BUCKETS: Record<Attempt['state'], Bucket> = {
  queued: 'waiting',
  offered: 'waiting',
  waiting: 'waiting',
  downloading: 'moving',
  installing: 'moving',
  soaking: 'moving',
  committed: 'done',
  already_current: 'done',
  rolled_back: 'failed',
  rejected: 'failed',
  superseded: 'superseded',
};

export function tally(rollout: Rollout): Tally {
  const sum: Tally = {
    total: rollout.attempts.length,
    done: 0,
    moving: 0,
    waiting: 0,
    failed: 0,
    superseded: 0,
  };
  for (const { state } of rollout.attempts) sum[BUCKETS[state]] += 1;
  return sum;
}

/** A rollout that is over says how it went: completed is good news only where nothing failed. */
export function rolloutWord(rollout: Rollout): Word {
  const { failed, done } = tally(rollout);
  if (rollout.state !== 'completed' || failed === 0) return ROLLOUT_WORDS[rollout.state];
  return done === 0 ? { label: 'Failed', tone: 'bad' } : { label: 'Completed with failures', tone: 'warn' };
}

const rank = ({ state }: Attempt) => (BUCKETS[state] === 'failed' ? 0 : 1);

/** Failures first: they are what somebody opened the page for. Otherwise by device, so that rows keep their place. */
export function byUrgency(a: Attempt, b: Attempt): number {
  return rank(a) - rank(b) || a.device.localeCompare(b.device, 'en', { numeric: true });
}

/** Share of the way, 0 to 100. Fetching is what takes time, so it has most of the bar. */
export function attemptPercent({ state, progress }: Attempt): number {
  switch (state) {
    case 'queued':
    case 'offered':
    case 'rejected':
    case 'superseded':
      return progress ? Math.floor(percent(progress.doneBytes, progress.totalBytes) * 0.8) : 0;
    case 'downloading':
      return progress ? Math.floor(percent(progress.doneBytes, progress.totalBytes) * 0.8) : 2;
    case 'waiting':
      return progress ? Math.floor(percent(progress.doneBytes, progress.totalBytes) * 0.8) : 0;
    case 'installing':
      return 85;
    case 'soaking':
      return 95;
    case 'committed':
    case 'already_current':
    case 'rolled_back':
      return 100;
  }
}

/** One sentence for a screen reader, and for the rollouts list. */
export function tallySentence({ total, done, moving, waiting, failed, superseded }: Tally): string {
  const parts = [`${done} of ${total} done`];
  if (moving > 0) parts.push(`${moving} in progress`);
  if (waiting > 0) parts.push(`${waiting} waiting`);
  if (failed > 0) parts.push(`${failed} failed`);
  if (superseded > 0) parts.push(`${superseded} superseded`);
  return parts.join(', ');
}

/** How many devices an urgent word would still reach: of a rollout that runs and is not urgent, those not switched. */
export function mayBeUrgent({ state, policy, attempts }: Rollout): number {
  if (state !== 'running' || policy?.urgent) return 0;
  const reached = new Set<Attempt['state']>(['queued', 'offered', 'downloading', 'waiting', 'installing']);
  return attempts.filter((attempt) => reached.has(attempt.state)).length;
}
