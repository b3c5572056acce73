import SQLite from 'better-sqlite3';
import { Kysely, SqliteDialect } from 'kysely';
import { migrate } from './migrations.ts';
import type { Database, Tables } from './tables.ts';

/** Opens (and brings up to date) the SQLite database at `path`; ":memory:" for tests. */
export async function openSqlite(path: string): Promise<Database> {
  const database = new SQLite(path);
  database.pragma('journal_mode = WAL');
  // WAL with NORMAL may lose the last commits at a power cut, and FULL costs an fsync each: rollouts matter more.
  database.pragma('synchronous = FULL');
  database.pragma('busy_timeout = 5000');
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database }) });
  try {
    await migrate(db);
  } catch (error) {
    await db.destroy();
    throw error;
  }
  return db;
}
