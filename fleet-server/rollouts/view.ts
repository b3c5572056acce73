import type { Rollout } from '../rest/api.ts';
import type { Database, RolloutRow } from '../store/tables.ts';
import { scheduleWords } from './core/schedule-words.ts';
import { policyOf } from './policy.ts';
import { stateOf } from './rollouts.ts';

/** A rollout as REST shows it, with its attempts by device. */
export async function rolloutView(db: Database, row: RolloutRow): Promise<Rollout> {
  const release = await db
    .selectFrom('releases')
    .select(['id', 'name', 'version'])
    .where('id', '=', row.releaseId)
    .executeTakeFirstOrThrow();
  const attempts = await db
    .selectFrom('attempts')
    .selectAll()
    .where('rolloutId', '=', row.id)
    .orderBy('deviceId')
    .execute();
  const policy = policyOf(row.policyJson);
  return {
    id: row.id,
    release,
    state: row.state,
    createdAt: row.createdAt,
    createdBy: row.createdBy,
    ...(policy && { policy, ...(policy.windows && { windows: policy.windows.map(scheduleWords) }) }),
    ...(row.egressBytesPerSecond !== null && { egressBytesPerSecond: row.egressBytesPerSecond }),
    attempts: attempts.map((attempt) => {
      const { state, generation, progress, reason } = stateOf(attempt);
      return {
        id: attempt.id,
        device: attempt.deviceId,
        state,
        generation,
        progress,
        reason,
        updatedAt: attempt.updatedAt,
      };
    }),
  };
}
