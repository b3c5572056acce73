import { copyFileSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { sha256Hex } from '../../protocol/canonical.ts';
import { EVENTS_KEPT } from '../ledger/event-ring.ts';
import { migrate } from '../ledger/migrations.ts';
import { SqliteLedger } from '../ledger/sqlite-ledger.ts';
import type { PastEvent } from '../ledger/update-history.ts';
import type { UpdateRecord } from '../update/core/record.ts';

/** What is in the ledger, as of a moment ago. */
export interface LedgerLook {
  path: string;
  /** When it was last written, Unix ms; undefined when there is none. */
  writtenAt: number | undefined;
  /** SQLite's quick_check: "ok" or what is wrong; undefined when there is no file. */
  verdict: string | undefined;
  contentFault: string | undefined;
  setAside: string[];
  record: UpdateRecord | undefined;
  /** JSON of supervisor/core/record.ts, by instance. */
  services: Record<string, string>;
  history: PastEvent[];
  /** What happened on this device, oldest first. */
  events: PastEvent[];
  /** Events that the server does not have yet, oldest first. */
  pending: PastEvent[];
}

const NOTHING = {
  record: undefined,
  services: {},
  history: [],
  events: [],
  pending: [],
  contentFault: undefined,
} satisfies Partial<LedgerLook>;

const TRIES = 5;
const PENDING = 1_000;
const PARTS = ['', '-wal'] as const;

/** Of one that cannot be looked into, and why. */
export const unseenLedger = (path: string, why: string): LedgerLook => ({
  path,
  writtenAt: undefined,
  verdict: why,
  setAside: [],
  ...NOTHING,
});

/**
 * Looks into a copy. The agent holds its ledger alone (locking_mode EXCLUSIVE), and the copy is read by another process:
 * within the agent's, closing a file of the database would drop the agent's own locks on it (fcntl(2)).
 */
export function lookIntoLedger(path: string, temporary = tmpdir()): LedgerLook {
  const look = { path, writtenAt: writtenAt(path), setAside: setAside(path), ...NOTHING };
  if (look.writtenAt === undefined) return { ...look, verdict: undefined };
  const folder = mkdtempSync(join(temporary, 'wherry-ledger-'));
  try {
    const copy = join(folder, basename(path));
    copyWhole(path, copy);
    return { ...look, ...readCopy(copy) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Database and log as of one moment. Only a checkpoint writes to the database file: when that did not change while both
 * were copied, the log belongs to it; a frame of the log that was cut off is not read (sqlite.org/walformat.html).
 */
function copyWhole(path: string, copy: string): void {
  for (let attempt = 1; ; attempt++) {
    const before = stampOf(path);
    for (const part of PARTS) {
      rmSync(copy + part, { force: true });
      if (statSync(path + part, { throwIfNoEntry: false })) copyFileSync(path + part, copy + part);
    }
    if (stampOf(path) === before || attempt === TRIES) return;
  }
}

const stampOf = (path: string): string => String(statSync(path, { throwIfNoEntry: false })?.mtimeMs);

function readCopy(copy: string): Omit<LedgerLook, 'path' | 'writtenAt' | 'setAside'> {
  let database: Database.Database | undefined;
  try {
    database = new Database(copy);
    // It speaks in lines; a finding is a sentence.
    const verdict = String(database.pragma('quick_check(1)', { simple: true })).replaceAll(/\s+/g, ' ');
    if (verdict !== 'ok') return { ...NOTHING, verdict };
    // An older agent's has not all tables yet; it is the copy that gets them.
    migrate(database);
    const ledger = new SqliteLedger(database);
    const record = ledger.load();
    return {
      verdict,
      record,
      contentFault: contentFault(record),
      services: ledger.services.load(),
      history: ledger.history(),
      events: ledger.events.list({ limit: EVENTS_KEPT.rows }).map(({ event }) => event),
      pending: ledger.outbox.pending(PENDING),
    };
  } catch (error) {
    return { ...NOTHING, verdict: error instanceof Error ? error.message : String(error) };
  } finally {
    database?.close();
  }
}

/** As the agent itself judges it at its start (ledger/open-ledger.ts). */
function contentFault({ current, previous, incoming }: UpdateRecord): string | undefined {
  const changed = [current, previous, incoming].find(
    (held) => held?.manifest !== undefined && sha256Hex(held.manifest) !== held.release.manifest,
  );
  return changed && `the manifest of ${changed.release.version} is not the one that was recorded`;
}

function writtenAt(path: string): number | undefined {
  const times = PARTS.flatMap((part) => statSync(path + part, { throwIfNoEntry: false })?.mtimeMs ?? []);
  return statSync(path, { throwIfNoEntry: false }) && Math.round(Math.max(...times));
}

function setAside(path: string): string[] {
  try {
    const start = `${basename(path)}.corrupt-`;
    return readdirSync(dirname(path)).filter((name) => name.startsWith(start) && !/-(?:wal|shm)$/.test(name));
  } catch {
    return [];
  }
}
