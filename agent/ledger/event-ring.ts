import type { Database } from 'better-sqlite3';
import type { PastEvent } from './update-history.ts';

export interface KeptEvent {
  sequence: number;
  event: PastEvent;
}

export interface EventQuery {
  /** Not before this, Unix ms. */
  since?: number | undefined;
  service?: string | undefined;
  /** The newest so many. */
  limit: number;
}

/** Rows and bytes of events that stay at most, but for what comes before the next clearing. */
export const EVENTS_KEPT = { rows: 1_000, bytes: 256 * 1024 };
/** Events from one clearing to the next: each clearing writes pages of its own. */
const CLEAR_EACH = 64;

/**
 * What happened on this device, for people at it: events of the outbox go once the server has them. Written with the
 * outbox in one transaction, so that an event costs the disk one page more and no sync.
 */
export class EventRing {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Part of a transaction of the ledger. */
  insert(event: PastEvent): void {
    // Without AUTOINCREMENT, which would write another page: the newest row is never deleted, so numbers only rise.
    const { lastInsertRowid } = this.#database
      .prepare('INSERT INTO event_ring (at, service, event) VALUES (?, ?, ?)')
      .run(event.at, event.service ?? null, JSON.stringify(event));
    if (Number(lastInsertRowid) % CLEAR_EACH === 0) this.#clear();
  }

  /** Oldest first. */
  list({ since = 0, service, limit }: EventQuery): KeptEvent[] {
    const rows = this.#database
      .prepare(
        'SELECT sequence, event FROM event_ring WHERE at >= ? AND (? IS NULL OR service = ?) ORDER BY sequence DESC LIMIT ?',
      )
      .all(since, service ?? null, service ?? null, limit);
    return kept(rows).reverse();
  }

  /** Those that came after, oldest first. */
  after(sequence: number): KeptEvent[] {
    return kept(
      this.#database
        .prepare('SELECT sequence, event FROM event_ring WHERE sequence > ? ORDER BY sequence')
        .all(sequence),
    );
  }

  #clear(): void {
    this.#database
      .prepare(
        `DELETE FROM event_ring WHERE sequence <= (SELECT max(sequence) FROM (
           SELECT sequence, row_number() OVER newest AS number, sum(length(CAST(event AS BLOB))) OVER newest AS bytes
           FROM event_ring WINDOW newest AS (ORDER BY sequence DESC)) WHERE number > ? OR bytes > ?)`,
      )
      .run(EVENTS_KEPT.rows, EVENTS_KEPT.bytes);
  }
}

const kept = (rows: unknown[]): KeptEvent[] =>
  (rows as { sequence: number; event: string }[]).map(({ sequence, event }) => ({
    sequence,
    event: JSON.parse(event) as PastEvent,
  }));
