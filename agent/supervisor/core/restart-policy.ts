import type { ServiceSpec } from '../service-spec.ts';
import type { ServiceRecord } from './record.ts';
import { following } from './record.ts';

type Policy = ServiceSpec['restart'];

/** This many failures in a row are a crash loop. */
export const CRASH_LOOP_FAILURES = 3;

/** Wait before the start after the n-th failure in a row (n ≥ 1), in ms: initial·2^(n-1), at most max. */
export const backoffMs = (policy: Policy, failures: number): number =>
  Math.min(policy.backoffMaxMs, policy.backoffInitialMs * 2 ** Math.min(failures - 1, 40));

/** What a start lacked is looked for again no later than this. */
export const BLOCKED_MAX_MS = 40_000;
const BLOCKED_FIRST_MS = 5_000;

/** Wait after the n-th look for what a start lacks (n ≥ 1), in ms: each look costs the disk two writes. */
export const blockedMs = (looks: number): number =>
  Math.min(BLOCKED_MAX_MS, BLOCKED_FIRST_MS * 2 ** Math.min(looks - 1, 8));

/** What follows from an exit nobody asked for: completed, failed, given up, or a time to start again. */
export function judgeExit(
  record: ServiceRecord,
  policy: Policy,
  exit: { exitCode: number; signal: number | undefined; startedAt: number; exitedAt: number },
  now: number,
): ServiceRecord {
  const isSuccess = exit.exitCode === 0 && exit.signal === undefined;
  if (isSuccess && policy.policy !== 'always') {
    return following(
      { ...record, settled: 'completed', failures: 0, retryAt: undefined },
      {
        code: 'wait.completed',
        message: `Ended with success; restart policy is "${policy.policy}"`,
        at: now,
      },
    );
  }
  const wasStable = exit.exitedAt - exit.startedAt >= policy.resetAfterMs;
  return afterFailure(wasStable ? { ...record, failures: 0 } : record, policy, exit.exitedAt, now);
}

/** Counts one failure and says what follows from it. `failedAt` starts the back-off. */
export function afterFailure(
  record: ServiceRecord,
  policy: Policy,
  failedAt: number,
  now: number,
): ServiceRecord {
  const failures = record.failures + 1;
  if (policy.policy === 'never') {
    return following(
      { ...record, failures, settled: 'failed', retryAt: undefined },
      { code: 'wait.given-up', message: `Failed; restart policy is "never"${sequel(policy)}`, at: now },
    );
  }
  if (policy.maxAttempts > 0 && failures >= policy.maxAttempts) {
    return following(
      { ...record, failures, settled: 'given-up', retryAt: undefined },
      { code: 'wait.given-up', message: `Failed ${failures} times in a row${sequel(policy)}`, at: now },
    );
  }
  const waitMs = backoffMs(policy, failures);
  return following(
    { ...record, failures, retryAt: failedAt + waitMs },
    {
      code: 'wait.backoff',
      message: `Starts again ${waitMs} ms after failure ${failures} in a row`,
      at: now,
    },
  );
}

/** What follows from having given up, for messages. */
const sequel = ({ whenExhausted }: Policy): string =>
  whenExhausted === 'stay-failed' ? '; the release goes on without it' : '';

/**
 * When a service that waits may start, Unix ms. A wait longer than the policy can ask for means that the clock was
 * set back meanwhile; it then starts at once.
 */
export function dueAt(record: ServiceRecord, policy: Policy, now: number): number {
  if (record.retryAt === undefined || record.retryAt - now > policy.backoffMaxMs) return now;
  return record.retryAt;
}
