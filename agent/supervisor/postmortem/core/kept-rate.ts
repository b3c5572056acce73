/** One service in a crash loop says the same again and again, and flash wears out. */
export const KEPT_RATE = { count: 3, ms: 600_000 } as const;

/**
 * The times of capsules that count against the next one, with its own when it may be kept; undefined when there were
 * enough lately. A clock that jumps lets one through.
 */
export function keptTimes(times: readonly number[], at: number): number[] | undefined {
  const lately = times.filter((time) => Math.abs(at - time) < KEPT_RATE.ms);
  return lately.length < KEPT_RATE.count ? [...lately, at] : undefined;
}
