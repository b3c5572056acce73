import type { WhyAnswer } from '../../../rest/api.ts';
import { record } from './device.ts';
import type { Fleet } from './fleet.ts';
import { problem, type Reply } from './routes.ts';

/** What a device answers at once. */
export function remoteWhy(fleet: Fleet, path: string): Reply {
  const [, , id = '', , name = ''] = path.split('/').map(decodeURIComponent);
  const service = fleet.device(id)?.detail.report?.services.find((each) => each.name === name);
  if (!service)
    return problem(404, 'remote.service-unknown', `Cannot ask device "${id}": it knows no service "${name}"`);
  const { state, since, reason } = service;
  const reasons = [
    reason,
    { code: 'start.desired' as const, message: 'The release wants it and it was not running', at: since },
  ];
  return { status: 200, body: { service: name, state, since, reasons } satisfies WhyAnswer };
}

/** What a device is told to do. */
export function remotePost(fleet: Fleet, path: string, now: number): Reply {
  const [, , id = '', part, name] = path.split('/').map(decodeURIComponent);
  const device = fleet.device(id);
  if (!device) return problem(404, 'device.unknown', `There is no device "${id}"`);
  if (part === 'exec') return { status: 204 };
  const deed = part === 'reboot' ? 'reboots the device' : `restarts ${name}`;
  record(device, now, { kind: 'device', code: 'remote.asked', message: `admin (server) ${deed}` });
  return { status: 202, body: { result: 'accepted' } };
}
