import type { Reason, ReasonCode } from '../../../../protocol/reasons.ts';

/** What follows from an end that counts as a failure. */
const AFTER_FAILURE: ReadonlySet<ReasonCode> = new Set(['wait.backoff', 'wait.given-up']);

/**
 * The reasons from the end of a service on, newest first: the end itself leads, not the wait that followed from it.
 * Undefined when that end was meant: completed, restarted by an operator, replaced by another specification.
 */
export function endOf(reasons: readonly Reason[], code: ReasonCode, at: number): Reason[] | undefined {
  const index = reasons.findIndex((reason) => reason.code === code && reason.at === at);
  const hasFailed = reasons.slice(0, index).some((reason) => AFTER_FAILURE.has(reason.code));
  return index > 0 && hasFailed ? reasons.slice(index) : undefined;
}
