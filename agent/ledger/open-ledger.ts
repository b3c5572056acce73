import { existsSync, renameSync } from 'node:fs';
import Database from 'better-sqlite3';
import { migrate } from './migrations.ts';
import { SqliteLedger } from './sqlite-ledger.ts';

export interface OpenedLedger {
  ledger: SqliteLedger;
  /** Where an unreadable database was put aside; its state is lost and a new one was begun. */
  quarantined: string | undefined;
}

/** Opens or makes the device's ledger. Throws only when the folder cannot be used; a corrupt file is put aside. */
export function openLedger(path: string): OpenedLedger {
  try {
    return { ledger: new SqliteLedger(openDatabase(path)), quarantined: undefined };
  } catch (error) {
    if (!isCorruption(error)) throw cannotOpen(path, error);
  }
  const quarantined = `${path}.corrupt-${Date.now()}`;
  for (const suffix of ['', '-wal', '-shm']) {
    if (existsSync(path + suffix)) renameSync(path + suffix, quarantined + suffix);
  }
  return { ledger: new SqliteLedger(openDatabase(path)), quarantined };
}

class LedgerCorrupt extends Error {}

function openDatabase(path: string): Database.Database {
  const database = new Database(path);
  try {
    database.pragma('journal_mode = WAL');
    // FULL: a commit is on disk before the step it records is taken.
    database.pragma('synchronous = FULL');
    database.pragma('cache_size = -1024');
    const verdict = database.pragma('quick_check(1)', { simple: true });
    if (verdict !== 'ok') throw new LedgerCorrupt(String(verdict));
    migrate(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function isCorruption(error: unknown): boolean {
  if (error instanceof LedgerCorrupt) return true;
  const code = error instanceof Database.SqliteError ? error.code : '';
  return code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB';
}

const cannotOpen = (path: string, cause: unknown): Error =>
  new Error(
    `Cannot open ledger ${path}: ${cause instanceof Error ? cause.message : String(cause)}; the state folder must exist and be writable`,
    { cause },
  );
