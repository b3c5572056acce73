/** What may be sent: as far as the other end gave credit, and at a rate. Bytes; times in ms of any clock. */
export interface Pace {
  credit: number;
  /** When what was sent so far is paid for. */
  paidAt: number;
}

/** Sent at once after a silence. */
const BURST_MS = 250;

/** How long to wait before the next message goes; undefined = until there is credit. */
export function waitMs({ credit, paidAt }: Pace, now: number): number | undefined {
  return credit <= 0 ? undefined : Math.max(0, paidAt - BURST_MS - now);
}

/** A message may be larger than the credit that is left: no more goes until that is made up for. */
export function afterSending(pace: Pace, bytes: number, now: number, bytesPerSecond: number): Pace {
  const paidAt = Math.max(pace.paidAt, now) + (bytes * 1000) / bytesPerSecond;
  return { credit: pace.credit - bytes, paidAt };
}
