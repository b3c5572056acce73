/** Full jitter: anywhere between the least wait and a ceiling that doubles. `random` is in [0, 1). Milliseconds. */
export function backoffMs(
  attempt: number,
  { minMs, maxMs }: { minMs: number; maxMs: number },
  random: number,
): number {
  const ceilingMs = Math.min(maxMs, minMs * 2 ** Math.min(attempt, 30));
  return Math.round(minMs + random * (ceilingMs - minMs));
}
