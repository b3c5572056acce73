import { ProblemError } from '../problems.ts';
import type { Attempt } from '../rest/api.ts';
import { audit } from '../store/audit.ts';
import type { Database } from '../store/tables.ts';
import { policyJson, policyOf, urgentBy } from './policy.ts';

/** What has not taken over yet. One that soaks has; one that installs takes the news without beginning again. */
const NOT_SWITCHED: Attempt['state'][] = ['queued', 'offered', 'downloading', 'waiting', 'installing'];

/**
 * Gives every device of a running rollout that has not switched the same release anew, as urgent. Resolves with these
 * devices: none when it is urgent already. Call it in a transaction. Throws ProblemError.
 */
export async function makeUrgent(
  db: Database,
  { id, who, at }: { id: string; who: string; at: number },
): Promise<string[]> {
  const rollout = await db.selectFrom('rollouts').selectAll().where('id', '=', id).executeTakeFirst();
  if (!rollout) throw new ProblemError('rollout.unknown', `There is no rollout ${id}`);
  if (rollout.state !== 'running')
    throw new ProblemError('rollout.over', `Cannot make rollout ${id} urgent: it is ${rollout.state}`);
  const before = policyOf(rollout.policyJson);
  if (before?.urgent) return [];
  const policy = policyJson({ ...before, urgent: urgentBy(who) });
  await db.updateTable('rollouts').set({ policyJson: policy }).where('id', '=', id).execute();
  const attempts = await db
    .selectFrom('attempts')
    .select(['id', 'deviceId'])
    .where('rolloutId', '=', id)
    .where('state', 'in', NOT_SWITCHED)
    .execute();
  for (const attempt of attempts) {
    const { desiredGeneration } = await db
      .updateTable('devices')
      .set((row) => ({ desiredPolicyJson: policy, desiredGeneration: row('desiredGeneration', '+', 1) }))
      .where('id', '=', attempt.deviceId)
      .returning('desiredGeneration')
      .executeTakeFirstOrThrow();
    await db
      .updateTable('attempts')
      .set({ state: 'queued', generation: desiredGeneration, reasonJson: null, updatedAt: at })
      .where('id', '=', attempt.id)
      .execute();
  }
  const detail = `${attempts.length} devices that had not switched`;
  await audit(db, { at, who, action: 'rollout.urgent', subject: id, detail });
  return attempts.map(({ deviceId }) => deviceId);
}
