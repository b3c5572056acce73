import { ENDED_ATTEMPT_STATES } from '../rest/api.ts';
import type { Database } from '../store/tables.ts';
import type { RolloutRate } from '../transport/egress.ts';

/** Which devices are under way in a rollout that has a rate. What the rows say, at hand for each chunk. */
export class RolloutRates {
  readonly #rates = new Map<string, RolloutRate>();

  /** Of the rollouts that were under way when the server stopped. */
  async load(db: Database): Promise<void> {
    const rows = await db
      .selectFrom('attempts')
      .innerJoin('rollouts', 'rollouts.id', 'attempts.rolloutId')
      .select(['attempts.deviceId', 'rollouts.id', 'rollouts.egressBytesPerSecond'])
      .where('rollouts.state', '=', 'running')
      .where('rollouts.egressBytesPerSecond', 'is not', null)
      .where('attempts.state', 'not in', [...ENDED_ATTEMPT_STATES])
      .execute();
    for (const { deviceId, id, egressBytesPerSecond } of rows)
      if (egressBytesPerSecond !== null) this.began([deviceId], id, egressBytesPerSecond);
  }

  of(device: string): RolloutRate | undefined {
    return this.#rates.get(device);
  }

  /** These devices belong to this rollout now; without a rate none holds them. */
  began(devices: readonly string[], rollout: string, bytesPerSecond: number | undefined): void {
    for (const device of devices) {
      if (bytesPerSecond === undefined) this.#rates.delete(device);
      else this.#rates.set(device, { rollout, bytesPerSecond });
    }
  }

  ended(device: string, rollout: string): void {
    if (this.#rates.get(device)?.rollout === rollout) this.#rates.delete(device);
  }
}
