import type { Feed } from '../feed.ts';
import { ProblemError } from '../problems.ts';
import { ENDED_ATTEMPT_STATES } from '../rest/api.ts';
import { audit } from '../store/audit.ts';
import type { Database } from '../store/tables.ts';

/** A pinned device keeps its release: no rollout takes it along. */
export class Pins {
  readonly #db: Database;
  readonly #feed: Feed;
  readonly #now: () => number;

  constructor(db: Database, feed: Feed, now: () => number) {
    this.#db = db;
    this.#feed = feed;
    this.#now = now;
  }

  /** Pinned already is a success. Throws ProblemError when it has no release to be pinned to. */
  async pin(device: string, who: string): Promise<void> {
    const at = this.#now();
    const isChanged = await this.#db.transaction().execute(async (db) => {
      const row = await deviceRow(db, device);
      if (row.pinnedAt !== null) return false;
      if (row.desiredReleaseId === null)
        throw new ProblemError(
          'device.not-settled',
          `Cannot pin "${device}": no release was deployed to it; deploy one first`,
        );
      const open = await db
        .selectFrom('attempts')
        .select('state')
        .where('deviceId', '=', device)
        .where('state', 'not in', [...ENDED_ATTEMPT_STATES])
        .executeTakeFirst();
      if (open)
        throw new ProblemError(
          'device.not-settled',
          `Cannot pin "${device}": a rollout is moving it (${open.state}); wait for it, or deploy the release to keep`,
        );
      await db.updateTable('devices').set({ pinnedAt: at, pinnedBy: who }).where('id', '=', device).execute();
      await audit(db, { at, who, action: 'device.pin', subject: device });
      return true;
    });
    if (isChanged) this.#feed.deviceChanged(device);
  }

  /** Not pinned already is a success. */
  async unpin(device: string, who: string): Promise<void> {
    const at = this.#now();
    const isChanged = await this.#db.transaction().execute(async (db) => {
      const row = await deviceRow(db, device);
      if (row.pinnedAt === null) return false;
      await db
        .updateTable('devices')
        .set({ pinnedAt: null, pinnedBy: null })
        .where('id', '=', device)
        .execute();
      await audit(db, { at, who, action: 'device.unpin', subject: device });
      return true;
    });
    if (isChanged) this.#feed.deviceChanged(device);
  }
}

async function deviceRow(db: Database, id: string) {
  const row = await db
    .selectFrom('devices')
    .select(['pinnedAt', 'desiredReleaseId'])
    .where('id', '=', id)
    .executeTakeFirst();
  if (!row) throw new ProblemError('device.unknown', `There is no device "${id}"`);
  return row;
}
