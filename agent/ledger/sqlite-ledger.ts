import type { Database } from 'better-sqlite3';
import type { ServiceMemory } from '../supervisor/ports.ts';
import type { HoldMemory } from '../supervisor/service-holds.ts';
import { EMPTY_RECORD, type UpdateRecord } from '../update/core/record.ts';
import type { UpdateLedger } from '../update/ports.ts';
import { EventRing } from './event-ring.ts';
import { SqliteOutbox } from './sqlite-outbox.ts';
import { type PastEvent, UpdateHistory } from './update-history.ts';

/** The device's durable state in one SQLite file. */
export class SqliteLedger implements UpdateLedger {
  readonly outbox: SqliteOutbox;
  readonly services: ServiceMemory;
  readonly holds: HoldMemory;
  readonly events: EventRing;
  readonly #database: Database;
  readonly #history: UpdateHistory;

  constructor(database: Database) {
    this.#database = database;
    this.events = new EventRing(database);
    this.outbox = new SqliteOutbox(database, this.events);
    this.holds = holdMemory(database, this.outbox);
    this.#history = new UpdateHistory(database);
    this.services = serviceMemory(database);
  }

  load(): UpdateRecord {
    const row = this.#database.prepare('SELECT record FROM update_record WHERE id = 1').get() as
      | { record: string }
      | undefined;
    return row ? { ...EMPTY_RECORD, ...(JSON.parse(row.record) as UpdateRecord) } : EMPTY_RECORD;
  }

  record(next: UpdateRecord, events: Parameters<UpdateLedger['record']>[1]): boolean {
    this.#database.transaction(() => {
      this.#database
        .prepare('INSERT OR REPLACE INTO update_record (id, record) VALUES (1, ?)')
        .run(JSON.stringify(next));
      for (const event of events) this.outbox.insert(event);
      this.#history.keep(events);
    })();
    if (events.length > 0) this.outbox.announce();
    return true;
  }

  /** What became of updates here, newest first. */
  history(): PastEvent[] {
    return this.#history.list();
  }

  close(): void {
    this.#database.close();
  }
}

function serviceMemory(database: Database): ServiceMemory {
  return {
    load: () =>
      Object.fromEntries(
        (
          database.prepare('SELECT service, record FROM service_memory').all() as {
            service: string;
            record: string;
          }[]
        ).map((row) => [row.service, row.record]),
      ),
    save: (service, record) => {
      database
        .prepare('INSERT OR REPLACE INTO service_memory (service, record) VALUES (?, ?)')
        .run(service, record);
    },
    forget: (service) => {
      database.prepare('DELETE FROM service_memory WHERE service = ?').run(service);
    },
  };
}

function holdMemory(database: Database, outbox: SqliteOutbox): HoldMemory {
  const all = (): { service: string; hold: string }[] =>
    database.prepare('SELECT service, hold FROM service_hold').all() as { service: string; hold: string }[];
  return {
    load: () => Object.fromEntries(all().map(({ service, hold }) => [service, hold])),
    change: (service, hold, event) => {
      database.transaction(() => {
        if (hold === undefined) database.prepare('DELETE FROM service_hold WHERE service = ?').run(service);
        else
          database
            .prepare('INSERT OR REPLACE INTO service_hold (service, hold) VALUES (?, ?)')
            .run(service, hold);
        if (event) outbox.insert(event);
      })();
      outbox.announce();
    },
  };
}
