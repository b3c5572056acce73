/** The log of a service that no release on this device names any more. */
export interface LeftLog {
  service: string;
  bytes: number;
  /** Unix ms of its last line. */
  writtenAt: number;
}

export const LEFT_LOG_LIMITS = {
  /** Time to look at what a release that was rolled back had to say. */
  keptMs: 3_600_000,
  /** Of all such logs together. */
  totalBytes: 8 * 1024 * 1024,
} as const;

/** Which of them go now: those an hour old, then the oldest beyond the total. A clock that was set back keeps none. */
export function logsToRemove(left: readonly LeftLog[], now: number): string[] {
  const { keptMs, totalBytes } = LEFT_LOG_LIMITS;
  const newestFirst = left.toSorted((a, b) => b.writtenAt - a.writtenAt);
  let bytes = 0;
  return newestFirst.flatMap((log) => {
    const age = now - log.writtenAt;
    if (age < 0 || age >= keptMs) return log.service;
    bytes += log.bytes;
    return bytes > totalBytes ? log.service : [];
  });
}
