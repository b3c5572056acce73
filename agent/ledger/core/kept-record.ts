import { inForce, type UpdateRecord } from '../../update/core/record.ts';

/**
 * The part of the update record that a rebuilt ledger must not lack: the releases to run and to go back to, what was
 * decided on (replay), what failed here. Equal texts need no second write.
 */
export function keptPart(record: UpdateRecord): string {
  const { current, previous, accepted, bad } = record;
  const releases = [inForce(record), current, previous].map((held) => held?.release);
  return JSON.stringify([releases, accepted, bad]);
}

/** A ledger never lags behind the copies made after it; one that does has lost commits (a cut WAL, an old file). */
export function hasLostCommits(record: UpdateRecord, kept: UpdateRecord | undefined): boolean {
  return (kept?.accepted?.generation ?? 0) > (record.accepted?.generation ?? 0);
}
