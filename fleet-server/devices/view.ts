import type { Report } from '../../protocol/messages.ts';
import type { Remote } from '../remote/remote.ts';
import type { DeviceDetail, DeviceEvents, DeviceSummary } from '../rest/api.ts';
import type { Database } from '../store/tables.ts';
import type { Presence } from './presence.ts';

/** Devices as REST shows them. */
export class DeviceViews {
  readonly #db: Database;
  readonly #presence: Presence;
  readonly #remote: Pick<Remote, 'actions'>;

  constructor(db: Database, presence: Presence, remote: Pick<Remote, 'actions'>) {
    this.#db = db;
    this.#presence = presence;
    this.#remote = remote;
  }

  /** Ascending by id, after `cursor`. */
  async list(limit: number, cursor: string): Promise<DeviceSummary[]> {
    const rows = await this.#rows()
      .where('devices.id', '>', cursor)
      .orderBy('devices.id')
      .limit(limit)
      .execute();
    return rows.map((row) => this.#summary(row));
  }

  async summary(id: string): Promise<DeviceSummary | undefined> {
    const row = await this.#rows().where('devices.id', '=', id).executeTakeFirst();
    return row && this.#summary(row);
  }

  async detail(id: string): Promise<DeviceDetail | undefined> {
    const row = await this.#rows().where('devices.id', '=', id).executeTakeFirst();
    if (!row) return undefined;
    return {
      ...this.#summary(row),
      certificateExpiresAt: row.certificateExpiresAt,
      certificateSha256: row.certificateSha256,
      agentVersion: row.agentVersion,
      report: reportOf(row.reportJson),
    };
  }

  /** Newest first. */
  async events(id: string, limit: number): Promise<DeviceEvents> {
    const rows = await this.#db
      .selectFrom('deviceEvents')
      .select('bodyJson')
      .where('deviceId', '=', id)
      .orderBy('receivedAt', 'desc')
      .orderBy('at', 'desc')
      .limit(limit)
      .execute();
    return { items: rows.map((row) => JSON.parse(row.bodyJson) as DeviceEvents['items'][number]) };
  }

  #rows() {
    return deviceRows(this.#db);
  }

  #summary(row: Row): DeviceSummary {
    const report = reportOf(row.reportJson);
    return {
      id: row.id,
      board: row.board,
      platform: row.platform,
      isOnline: this.#presence.isOnline(row.id),
      lastSeenAt: row.lastSeenAt,
      enrolledAt: row.enrolledAt,
      desired:
        row.desiredReleaseId && row.releaseName && row.releaseVersion
          ? {
              release: { id: row.desiredReleaseId, name: row.releaseName, version: row.releaseVersion },
              generation: row.desiredGeneration,
            }
          : null,
      current: report?.current
        ? {
            name: report.current.name,
            version: report.current.version,
            generation: report.current.generation,
          }
        : null,
      updatePhase: report?.update.phase ?? null,
      updateReason: report?.update.reason ?? null,
      services: {
        total: report?.services.length ?? 0,
        running: report?.services.filter(({ state }) => state === 'running').length ?? 0,
      },
      pinned: row.pinnedAt === null ? null : { at: row.pinnedAt, by: row.pinnedBy ?? '' },
      remote: this.#remote.actions(row.id),
    };
  }
}

const deviceRows = (db: Database) =>
  db
    .selectFrom('devices')
    .leftJoin('deviceState', 'deviceState.deviceId', 'devices.id')
    .leftJoin('releases', 'releases.id', 'devices.desiredReleaseId')
    .selectAll('devices')
    .select(['lastSeenAt', 'agentVersion', 'reportJson'])
    .select(['releases.name as releaseName', 'releases.version as releaseVersion']);

type Row = Awaited<ReturnType<ReturnType<typeof deviceRows>['executeTakeFirstOrThrow']>>;

const reportOf = (json: string | null): Report | null =>
  json === null ? null : (JSON.parse(json) as Report);
