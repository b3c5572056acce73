import { EMPTY_RECORD, labelOf, type UpdateRecord } from '../update/core/record.ts';
import type { Log } from '../update/ports.ts';
import { hasLostCommits } from './core/kept-record.ts';
import { openLedger } from './open-ledger.ts';
import type { SqliteLedger } from './sqlite-ledger.ts';

/**
 * Opens the ledger; one that is gone, was put aside or has lost commits goes on from `kept`, with the generation floor
 * that it holds, and says so. Throws with the `code` of SQLite when nothing can be opened.
 */
export function openRebuilt(
  path: string,
  kept: UpdateRecord | undefined,
  at: number,
  log: Log,
): SqliteLedger {
  const { ledger, quarantined } = openLedger(path);
  const aside = quarantined
    ? `The ledger was unreadable and lies in ${quarantined}`
    : 'The ledger had lost what was in it';
  if (quarantined) log.warn({}, aside);
  const isBehind = hasLostCommits(ledger.load(), kept);
  if (!quarantined && !isBehind) return ledger;
  const runs = kept?.current ? `${labelOf(kept.current.release)} runs on` : 'no release was in force';
  const message = `${aside}; it was rebuilt from the copies on disk: ${runs}`;
  log.warn({}, message);
  const event = {
    kind: 'device' as const,
    code: 'agent.ledger-rebuilt' as const,
    message: message.slice(0, 1024),
    at,
  };
  ledger.record(isBehind && kept ? { ...EMPTY_RECORD, ...kept } : ledger.load(), [event]);
  return ledger;
}
