import { randomUUID } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import { LIMITS } from '../../protocol/limits.ts';
import type { DeviceEvent } from '../../protocol/messages.ts';
import type { EventQueue } from '../link/ports.ts';
import type { Outbox } from '../update/ports.ts';
import type { EventRing } from './event-ring.ts';

/** Events in the order they happened, until the server has them. Full: the oldest go, and are counted. */
export class SqliteOutbox implements Outbox, EventQueue {
  readonly #database: Database;
  readonly #ring: EventRing;
  #onAdded: () => void = () => {};

  constructor(database: Database, ring: EventRing) {
    this.#database = database;
    this.#ring = ring;
  }

  add(event: Omit<DeviceEvent, 'v' | 'id'>): void {
    this.#database.transaction(() => this.insert(event))();
    this.announce();
  }

  /** Part of a transaction of the ledger. */
  insert(event: Omit<DeviceEvent, 'v' | 'id'>): void {
    this.#ring.insert(event);
    const id = randomUUID();
    const body = JSON.stringify({ v: 1, id, ...event });
    this.#database.prepare('INSERT INTO outbox (id, event) VALUES (?, ?)').run(id, body);
    const { changes } = this.#database
      .prepare(
        'DELETE FROM outbox WHERE sequence <= (SELECT sequence FROM outbox ORDER BY sequence DESC LIMIT 1 OFFSET ?)',
      )
      .run(LIMITS.outboxEvents);
    if (changes === 0) return;
    this.#database
      .prepare(
        "INSERT INTO counter VALUES ('outbox-dropped', ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
      )
      .run(changes);
  }

  pending(limit: number): DeviceEvent[] {
    const rows = this.#database.prepare('SELECT event FROM outbox ORDER BY sequence LIMIT ?').all(limit) as {
      event: string;
    }[];
    return rows.map((row) => JSON.parse(row.event) as DeviceEvent);
  }

  acknowledge(ids: readonly string[]): void {
    const remove = this.#database.prepare('DELETE FROM outbox WHERE id = ?');
    this.#database.transaction(() => {
      for (const id of ids) remove.run(id);
    })();
  }

  dropped(): number {
    const row = this.#database.prepare("SELECT value FROM counter WHERE name = 'outbox-dropped'").get() as
      | { value: number }
      | undefined;
    return row?.value ?? 0;
  }

  onAdded(run: () => void): void {
    this.#onAdded = run;
  }

  announce(): void {
    this.#onAdded();
  }
}
