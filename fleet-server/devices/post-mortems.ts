import { LIMITS } from '../../protocol/limits.ts';
import {
  checkPostMortem,
  POST_MORTEM_ID,
  type PostMortem,
  type PostMortemSummary,
  summaryOf,
} from '../../protocol/post-mortem.ts';
import type { DevicePostMortems } from '../rest/api.ts';
import type { Database } from '../store/tables.ts';

const ID = new RegExp(POST_MORTEM_ID);

/** What a device sent: `id` is what to acknowledge, if it can be told. */
export type Taken =
  | { kind: 'stored'; id: string; isNew: boolean }
  /** Never to be stored: the device may stop sending it. */
  | { kind: 'refused'; id: string | undefined; faults: string[] };

/** Post-mortems of devices; of each device the ones that came last, LIMITS.postMortemsKept of them. */
export class PostMortemStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Stores it; a second copy changes nothing. Durable when resolved. `receivedAt` is our clock. */
  async take(deviceId: string, payload: Buffer, receivedAt: number): Promise<Taken> {
    const document = parseJson(payload);
    const faults = faultsOf(payload, document);
    if (faults.length > 0) return { kind: 'refused', id: idOf(document), faults };
    const capsule = document as PostMortem;
    const { id, at } = capsule;
    const summaryJson = JSON.stringify(summaryOf(capsule));
    const row = { deviceId, id, at, receivedAt, summaryJson, bodyJson: JSON.stringify(capsule) };
    const isNew = await this.#db.transaction().execute(async (transaction) => {
      const { numInsertedOrUpdatedRows } = await transaction
        .insertInto('postMortems')
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst();
      if (!numInsertedOrUpdatedRows) return false;
      const kept = transaction
        .selectFrom('postMortems')
        .select('id')
        .where('deviceId', '=', deviceId)
        .orderBy('receivedAt', 'desc')
        .orderBy('id', 'desc')
        .limit(LIMITS.postMortemsKept);
      await transaction
        .deleteFrom('postMortems')
        .where('deviceId', '=', deviceId)
        .where('id', 'not in', kept)
        .execute();
      return true;
    });
    return { kind: 'stored', id, isNew };
  }

  /** Newest first. */
  async list(deviceId: string): Promise<DevicePostMortems> {
    const rows = await this.#db
      .selectFrom('postMortems')
      .select('summaryJson')
      .where('deviceId', '=', deviceId)
      .orderBy('receivedAt', 'desc')
      .orderBy('id', 'desc')
      .execute();
    return { items: rows.map(({ summaryJson }) => JSON.parse(summaryJson) as PostMortemSummary) };
  }

  async read(deviceId: string, id: string): Promise<PostMortem | undefined> {
    const row = await this.#db
      .selectFrom('postMortems')
      .select('bodyJson')
      .where('deviceId', '=', deviceId)
      .where('id', '=', id)
      .executeTakeFirst();
    return row && (JSON.parse(row.bodyJson) as PostMortem);
  }
}

function faultsOf({ length }: Buffer, document: unknown): string[] {
  if (length > LIMITS.postMortemBytes)
    return [`it is ${length} bytes; at most ${LIMITS.postMortemBytes} are taken`];
  const checked = checkPostMortem(document);
  return checked.ok ? [] : checked.faults;
}

function idOf(document: unknown): string | undefined {
  const id = (document as { id?: unknown } | null | undefined)?.id;
  return typeof id === 'string' && ID.test(id) ? id : undefined;
}

function parseJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch {
    return undefined;
  }
}
