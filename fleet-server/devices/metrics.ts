import type { Report } from '../../protocol/messages.ts';
import type { DeviceMetrics } from '../rest/api.ts';
import type { Database, MetricRow } from '../store/tables.ts';

const FLUSH_MS = 200;
const FLUSH_ROWS = 1_000;
/** Rows kept when the database cannot keep up; the oldest go first. */
const MOST_ROWS = 20_000;
/** SQLite binds at most 32,766 values per statement. */
const INSERT_ROWS = 500;
const RETENTION_MS = 48 * 3_600_000;

/** Use of services over time. Written in batches; under pressure the oldest unwritten rows are dropped. */
export class MetricLog {
  readonly #db: Database;
  readonly #onError: (error: unknown) => void;
  #rows: MetricRow[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(db: Database, onError: (error: unknown) => void) {
    this.#db = db;
    this.#onError = onError;
  }

  /** `at` is our clock: a device's own may be years off. */
  add(deviceId: string, report: Report, at: number): void {
    for (const { name: service, usage } of report.services) {
      if (!usage) continue;
      const { memoryBytes, cpu, pids } = usage;
      this.#rows.push({ deviceId, service, at, memoryBytes, cpu, pids });
    }
    if (this.#rows.length > MOST_ROWS) this.#rows.splice(0, this.#rows.length - MOST_ROWS);
    if (this.#rows.length >= FLUSH_ROWS) void this.flush();
    else this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS);
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const rows = this.#rows;
    this.#rows = [];
    if (rows.length === 0) return;
    try {
      await this.#db.transaction().execute(async (transaction) => {
        for (let at = 0; at < rows.length; at += INSERT_ROWS) {
          await transaction
            .insertInto('serviceMetrics')
            .values(rows.slice(at, at + INSERT_ROWS))
            .execute();
        }
      });
    } catch (error) {
      this.#onError(error);
    }
  }

  async read(deviceId: string, since: number): Promise<DeviceMetrics> {
    const rows = await this.#db
      .selectFrom('serviceMetrics')
      .selectAll()
      .where('deviceId', '=', deviceId)
      .where('at', '>=', since)
      .orderBy('at')
      .execute();
    const items = new Map<string, DeviceMetrics['items'][number]>();
    for (const row of rows) {
      let item = items.get(row.service);
      if (!item) {
        item = { service: row.service, at: [], memoryBytes: [], cpu: [], pids: [] };
        items.set(row.service, item);
      }
      item.at.push(row.at);
      item.memoryBytes.push(row.memoryBytes);
      item.cpu.push(row.cpu);
      item.pids.push(row.pids);
    }
    return { items: [...items.values()].sort((a, b) => (a.service < b.service ? -1 : 1)) };
  }

  async purge(now: number): Promise<void> {
    await this.#db
      .deleteFrom('serviceMetrics')
      .where('at', '<', now - RETENTION_MS)
      .execute();
  }
}
