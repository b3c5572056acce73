import type { RemoteAction } from '../../../../protocol/remote-actions.ts';
import type { DeviceSummary, Session } from '../api/types.ts';

/** What only an administrator may have a device do. */
const ADMIN_ONLY: readonly RemoteAction[] = ['exec', 'reboot'];

/** Why nothing can be asked of the device now, in one sentence; undefined when something can. */
export function noRequests(
  { isOnline, remote }: Pick<DeviceSummary, 'isOnline' | 'remote'>,
  agentVersion: string | null,
): string | undefined {
  if (!isOnline) return 'The device is offline: it can be asked nothing until it is back.';
  if (remote) return undefined;
  return agentVersion === null
    ? 'The device has not said yet what it can be asked.'
    : `Its agent, version ${agentVersion}, is too old to be asked anything; a release can bring it a newer one.`;
}

/** Why this one may not be asked, in a few words; undefined when it may. */
export function blockedBy(
  action: RemoteAction,
  { remote }: Pick<DeviceSummary, 'remote'>,
  role: Session['role'] | undefined,
): string | undefined {
  if (!remote?.includes(action))
    return `switched off by the device’s configuration (remote.${action} in agent.json)`;
  if (role !== 'admin' && ADMIN_ONLY.includes(action)) return 'for administrators only';
  return undefined;
}
