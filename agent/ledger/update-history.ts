import type { Database } from 'better-sqlite3';
import type { DeviceEvent } from '../../protocol/messages.ts';

export type PastEvent = Omit<DeviceEvent, 'v' | 'id'>;

const KEPT_EVENTS = 100;

/** The last events of updates, for people at the device: those of the outbox go once the server has them. */
export class UpdateHistory {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Part of a transaction of the ledger. */
  keep(events: readonly PastEvent[]): void {
    const updates = events.filter(({ kind }) => kind === 'update');
    if (updates.length === 0) return;
    const insert = this.#database.prepare('INSERT INTO update_history (event) VALUES (?)');
    for (const event of updates) insert.run(JSON.stringify(event));
    this.#database
      .prepare('DELETE FROM update_history WHERE sequence <= (SELECT max(sequence) FROM update_history) - ?')
      .run(KEPT_EVENTS);
  }

  /** Newest first. */
  list(): PastEvent[] {
    const rows = this.#database.prepare('SELECT event FROM update_history ORDER BY sequence DESC').all() as {
      event: string;
    }[];
    return rows.map((row) => JSON.parse(row.event) as PastEvent);
  }
}
