import { existsSync, renameSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { sha256Hex } from '../../protocol/canonical.ts';
import { migrate } from './migrations.ts';
import { SqliteLedger } from './sqlite-ledger.ts';
import { storageFaultOf } from './storage-fault.ts';

export interface OpenedLedger {
  ledger: SqliteLedger;
  /** Where an unreadable database was put aside; its state is lost and a new one was begun. */
  quarantined: string | undefined;
}

const FILES = ['', '-wal', '-shm'];

/** Opens or makes the device's ledger. Throws only when the folder cannot be used; a corrupt file is put aside. */
export function openLedger(path: string): OpenedLedger {
  try {
    return { ledger: openWhole(path), quarantined: undefined };
  } catch (error) {
    if (!isCorruption(error) && !FILES.some((suffix) => isFolder(path + suffix)))
      throw cannotOpen(path, error);
  }
  const quarantined = `${path}.corrupt-${Date.now()}`;
  for (const suffix of FILES) {
    if (existsSync(path + suffix)) renameSync(path + suffix, quarantined + suffix);
  }
  try {
    return { ledger: openWhole(path), quarantined };
  } catch (error) {
    throw cannotOpen(path, error);
  }
}

class LedgerCorrupt extends Error {}

function openWhole(path: string): SqliteLedger {
  const database = new Database(path);
  try {
    // Nobody else opens it; without the shared-memory file it also opens on a disk that is full.
    database.pragma('locking_mode = EXCLUSIVE');
    database.pragma('journal_mode = WAL');
    // FULL: a commit is on disk before the step it records is taken.
    database.pragma('synchronous = FULL');
    database.pragma('cache_size = -1024');
    const verdict = database.pragma('quick_check(1)', { simple: true });
    if (verdict !== 'ok') throw new LedgerCorrupt(String(verdict));
    migrate(database);
    const ledger = new SqliteLedger(database);
    checkContent(ledger);
    return ledger;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** SQLite keeps no checksums: bytes that changed within a row leave the structure sound. */
function checkContent(ledger: SqliteLedger): void {
  try {
    const { current, previous, incoming } = ledger.load();
    for (const held of [current, previous, incoming]) {
      if (held?.manifest === undefined || sha256Hex(held.manifest) === held.release.manifest) continue;
      throw new LedgerCorrupt(`the manifest of ${held.release.version} is not the one that was recorded`);
    }
  } catch (error) {
    if (storageFaultOf(error) !== undefined) throw error;
    throw new LedgerCorrupt(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

const isCorruption = (error: unknown): boolean =>
  error instanceof LedgerCorrupt || storageFaultOf(error) === 'corrupt';

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

const cannotOpen = (path: string, cause: unknown): Error =>
  Object.assign(
    new Error(
      `Cannot open ledger ${path}: ${cause instanceof Error ? cause.message : String(cause)}; the state folder must exist and be writable`,
      { cause },
    ),
    { code: (cause as { code?: string }).code },
  );
