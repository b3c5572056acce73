import type { Database } from 'better-sqlite3';

/** Forward only, and additive (docs/adr/0013): an older agent after a rollback still reads what a newer one left. */
export const MIGRATIONS = [
  `CREATE TABLE update_record (id INTEGER PRIMARY KEY CHECK (id = 1), record TEXT NOT NULL) STRICT;
   CREATE TABLE outbox (sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, event TEXT NOT NULL) STRICT;
   CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
   CREATE TABLE service_memory (service TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;`,
  `CREATE TABLE update_history (sequence INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL) STRICT;`,
  `CREATE TABLE service_hold (service TEXT PRIMARY KEY, hold TEXT NOT NULL) STRICT;
   CREATE TABLE event_ring (sequence INTEGER PRIMARY KEY, at INTEGER NOT NULL, service TEXT, event TEXT NOT NULL) STRICT;`,
];

/** `migrations`: those that this agent knows; a database may have seen more. */
export function migrate(database: Database, migrations: readonly string[] = MIGRATIONS): void {
  const version = Number(database.pragma('user_version', { simple: true }));
  for (const [index, sql] of migrations.entries()) {
    if (index < version) continue;
    database.transaction(() => {
      database.exec(sql);
      database.pragma(`user_version = ${index + 1}`);
    })();
  }
}
