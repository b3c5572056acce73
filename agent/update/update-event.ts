import type { DeviceEvent } from '../../protocol/messages.ts';
import { labelOf, type UpdateRecord } from './core/record.ts';
import type { UpdateEvent, UpdateInput } from './core/transition.ts';

/** Without a look at the services none is to blame. */
export const unwellIn = (input: UpdateInput): string[] =>
  input.type === 'health' ? input.health.unhealthy.map(({ service }) => service) : [];

/** A rollback that somebody asked for is no failure to look into. */
export const hasFailed = ({ type }: UpdateInput, before: UpdateRecord, { phase }: UpdateRecord): boolean =>
  type !== 'roll-back' && phase === 'rolling_back' && before.phase !== phase;

/** What the update machine tells, for the outbox. `at` in Unix ms. */
export function deviceEvent(
  { code, message, release, phase }: UpdateEvent,
  at: number,
): Omit<DeviceEvent, 'v' | 'id'> {
  return {
    at,
    kind: 'update' as const,
    code,
    message: message.slice(0, 1024),
    phase,
    ...(release && { generation: release.generation, release: labelOf(release) }),
  };
}
