import type { UpdateStatus } from '../../protocol/messages.ts';
import type { UpdateRecord } from './core/record.ts';
import type { Progress } from './fetch-release.ts';
import type { Freshness } from './trust-watch.ts';

/** What is told of an update. `idleSince`, Unix ms, of a device that was never assigned anything. */
export function statusOf(
  { phase, since, about, reason }: UpdateRecord,
  idleSince: number,
  progress: Progress | undefined,
  metadata: Freshness = {},
): UpdateStatus {
  return {
    phase,
    ...(Object.keys(metadata).length > 0 && { metadata }),
    since: phase === 'idle' ? idleSince : since,
    ...(about && { release: about }),
    ...(reason && { reason }),
    ...(progress && { progress }),
  };
}
