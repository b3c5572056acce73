import type { DeviceEvent } from '../../protocol/messages.ts';
import type { Reason } from '../../protocol/reasons.ts';
import type { DesiredServices } from './service-spec.ts';

/** What is asked of services by hand is told when it is asked for, where it does not show by one of these. */
const EVENT =
  /^(exit|fail|repair|health|shed|device|channel)\.|^stop\.(operator|unhealthy|shed|killed)$|^wait\.(given-up|completed|secret|device|reboot)$/;

/** What the server must learn of a reason that came up; undefined for what it need not. No service: of the device. */
export function eventOf(
  service: string | undefined,
  { code, message, at }: Reason,
  release: DesiredServices['release'],
): Omit<DeviceEvent, 'v' | 'id'> | undefined {
  if (!EVENT.test(code)) return undefined;
  return {
    kind: 'service',
    ...(service !== undefined && { service }),
    code,
    message,
    at,
    ...(release && { release: `${release.name} ${release.version}`, generation: release.generation }),
  };
}
