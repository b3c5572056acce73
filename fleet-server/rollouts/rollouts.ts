import type { Manifest } from '../../protocol/manifest.ts';
import type { DeviceEvent, Report } from '../../protocol/messages.ts';
import type { Feed } from '../feed.ts';
import { uuidv7 } from '../ids.ts';
import { ProblemError } from '../problems.ts';
import { type Attempt, ENDED_ATTEMPT_STATES, type StartRollout } from '../rest/api.ts';
import { audit } from '../store/audit.ts';
import type { AttemptRow, Database, ReleaseRow } from '../store/tables.ts';
import { type AttemptState, isEnded, onEvent, onReport, onSent } from './core/attempt.ts';
import { makeUrgent } from './make-urgent.ts';
import { policyJson, urgentBy } from './policy.ts';
import type { RolloutRates } from './rates.ts';
import { checkWindows } from './windows.ts';

/** Moves devices' desired state and follows their attempts. */
export class Rollouts {
  readonly #db: Database;
  readonly #feed: Feed;
  readonly #rates: RolloutRates;
  readonly #now: () => number;

  constructor(db: Database, feed: Feed, rates: RolloutRates, now: () => number) {
    this.#db = db;
    this.#feed = feed;
    this.#rates = rates;
    this.#now = now;
  }

  /** Gives every device the release as a new generation, all or none. Throws ProblemError. */
  async start(wanted: StartRollout, who: string): Promise<string> {
    const at = this.#now();
    const id = uuidv7(at);
    if (wanted.policy?.windows) checkWindows(wanted.policy.windows);
    const rate = wanted.egressBytesPerSecond;
    const policy = policyJson({ ...wanted.policy, ...(wanted.urgent && { urgent: urgentBy(who) }) });
    const touched = await this.#db.transaction().execute(async (db) => {
      const release = await checkSelection(db, wanted);
      await db
        .insertInto('rollouts')
        .values({
          id,
          releaseId: release.id,
          state: 'running',
          createdAt: at,
          createdBy: who,
          policyJson: policy,
          egressBytesPerSecond: rate ?? null,
        })
        .execute();
      const older = new Set<string>();
      for (const device of wanted.devices) {
        for (const rollout of await supersede(db, device, at)) older.add(rollout);
        await assign(db, device, { rolloutId: id, release, policy, at });
      }
      await audit(db, {
        at,
        who,
        action: 'rollout.start',
        subject: id,
        detail: `${release.name} ${release.version} to ${wanted.devices.length} devices${rate === undefined ? '' : ` at ${rate} bytes a second`}`,
      });
      if (wanted.urgent) await audit(db, { at, who, action: 'rollout.urgent', subject: id });
      for (const rollout of older) await closeIfEnded(db, rollout);
      return [...older];
    });
    this.#rates.began(wanted.devices, id, rate);
    for (const rollout of [...touched, id]) this.#feed.rolloutChanged(rollout);
    for (const device of wanted.devices) this.#feed.deviceChanged(device);
    return id;
  }

  /** Resolves with the devices that are to hear of it. Throws ProblemError. */
  async makeUrgent(id: string, who: string): Promise<string[]> {
    const at = this.#now();
    const devices = await this.#db.transaction().execute((db) => makeUrgent(db, { id, who, at }));
    this.#feed.rolloutChanged(id);
    for (const device of devices) this.#feed.deviceChanged(device);
    return devices;
  }

  reported(device: string, report: Report): Promise<void> {
    return this.#move(device, (attempt) => onReport(attempt, report));
  }

  happened(device: string, event: DeviceEvent): Promise<void> {
    return this.#move(device, (attempt) => onEvent(attempt, event));
  }

  sent(device: string, generation: number): Promise<void> {
    return this.#move(device, (attempt) => onSent(attempt, generation));
  }

  async #move(device: string, step: (attempt: AttemptState) => AttemptState): Promise<void> {
    const rollout = await this.#db.transaction().execute(async (db) => {
      const row = await openAttempt(db, device);
      if (!row) return undefined;
      const before = stateOf(row);
      const after = step(before);
      if (JSON.stringify(after) === JSON.stringify(before)) return undefined;
      await db
        .updateTable('attempts')
        .set({
          state: after.state,
          progressJson: after.progress && JSON.stringify(after.progress),
          reasonJson: after.reason && JSON.stringify(after.reason),
          updatedAt: this.#now(),
        })
        .where('id', '=', row.id)
        .execute();
      await closeIfEnded(db, row.rolloutId);
      return { id: row.rolloutId, isEnded: isEnded(after.state) };
    });
    if (!rollout) return;
    if (rollout.isEnded) this.#rates.ended(device, rollout.id);
    this.#feed.rolloutChanged(rollout.id);
  }
}

async function checkSelection(db: Database, wanted: StartRollout): Promise<ReleaseRow> {
  const release = await db
    .selectFrom('releases')
    .selectAll()
    .where('id', '=', wanted.releaseId)
    .executeTakeFirst();
  if (!release)
    throw new ProblemError('release.unknown', `Cannot roll out: there is no release ${wanted.releaseId}`);
  if (wanted.devices.length === 0) {
    throw new ProblemError(
      'rollout.empty',
      `Cannot roll out ${release.name} ${release.version}: no device is selected; name at least one`,
    );
  }
  const { boards } = JSON.parse(release.manifestJson) as Manifest;
  const misfits: string[] = [];
  const pinned: string[] = [];
  for (const id of wanted.devices) {
    const device = await db
      .selectFrom('devices')
      .select(['board', 'pinnedBy'])
      .where('id', '=', id)
      .executeTakeFirst();
    if (!device) throw new ProblemError('device.unknown', `Cannot roll out: there is no device "${id}"`);
    if (!boards.includes(device.board)) misfits.push(`"${id}" (${device.board})`);
    if (device.pinnedBy !== null) pinned.push(`"${id}" (by ${device.pinnedBy})`);
  }
  if (misfits.length > 0) {
    throw new ProblemError(
      'rollout.board-mismatch',
      `Cannot roll out ${release.name} ${release.version} to ${misfits.join(', ')}: it is for ${boards.join(', ')}; leave ${misfits.length > 1 ? 'them' : 'it'} out or build a release for the board`,
    );
  }
  if (pinned.length > 0) {
    throw new ProblemError(
      'rollout.device-pinned',
      `Cannot roll out ${release.name} ${release.version} to ${pinned.join(', ')}: ${pinned.length > 1 ? 'they are' : 'it is'} pinned; unpin ${pinned.length > 1 ? 'them or leave them' : 'it or leave it'} out`,
    );
  }
  return release;
}

const openAttempt = (db: Database, device: string) =>
  db
    .selectFrom('attempts')
    .selectAll()
    .where('deviceId', '=', device)
    .where('state', 'not in', [...ENDED_ATTEMPT_STATES])
    .orderBy('generation', 'desc')
    .executeTakeFirst();

async function supersede(db: Database, device: string, at: number): Promise<string[]> {
  const row = await openAttempt(db, device);
  if (!row) return [];
  await db
    .updateTable('attempts')
    .set({ state: 'superseded', updatedAt: at })
    .where('id', '=', row.id)
    .execute();
  return [row.rolloutId];
}

interface Assigned {
  rolloutId: string;
  release: ReleaseRow;
  /** UpdatePolicy as JSON text. */
  policy: string | null;
  at: number;
}

async function assign(
  db: Database,
  device: string,
  { rolloutId, release, policy, at }: Assigned,
): Promise<void> {
  const { desiredGeneration } = await db
    .updateTable('devices')
    .set((row) => ({
      desiredReleaseId: release.id,
      desiredPolicyJson: policy,
      desiredGeneration: row('desiredGeneration', '+', 1),
    }))
    .where('id', '=', device)
    .returning('desiredGeneration')
    .executeTakeFirstOrThrow();
  await db
    .insertInto('attempts')
    .values({
      id: uuidv7(at),
      rolloutId,
      deviceId: device,
      state: 'queued',
      generation: desiredGeneration,
      manifestSha256: release.manifestSha256,
      progressJson: null,
      reasonJson: null,
      updatedAt: at,
    })
    .execute();
}

/** A rollout is over when none of its attempts is open; superseded when newer ones took every device. */
async function closeIfEnded(db: Database, rolloutId: string): Promise<void> {
  const rows = await db.selectFrom('attempts').select('state').where('rolloutId', '=', rolloutId).execute();
  if (rows.some(({ state }) => !ENDED_ATTEMPT_STATES.includes(state))) return;
  const state = rows.every((row) => row.state === 'superseded') ? 'superseded' : 'completed';
  await db.updateTable('rollouts').set({ state }).where('id', '=', rolloutId).execute();
}

export const stateOf = (row: AttemptRow): AttemptState => ({
  state: row.state as Attempt['state'],
  generation: row.generation,
  manifest: row.manifestSha256,
  progress: row.progressJson === null ? null : (JSON.parse(row.progressJson) as Attempt['progress']),
  reason: row.reasonJson === null ? null : (JSON.parse(row.reasonJson) as Attempt['reason']),
});
