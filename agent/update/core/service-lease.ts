import { parseInstant } from '../../../protocol/instant.ts';
import { SERVICE_LEASE_MAX_MS } from '../../../protocol/service-lease.ts';
import type { Lease } from './hold.ts';

const HOUR_MS = 3_600_000;
const WHY_MAX = 200;

/**
 * What a service's own file says (protocol/service-lease.ts); undefined when that is no lease. `writtenAt` and `now` in
 * Unix ms. It may not reach past the longest lease; the cap moves once an hour only, so that the wait reads the same.
 */
export function serviceLease(
  service: string,
  text: string,
  writtenAt: number,
  now: number,
): Lease | undefined {
  const [first = '', second = ''] = text.split('\n', 2);
  const claimed = endOf(first.trim(), Math.min(writtenAt, now));
  if (claimed === undefined || claimed <= now) return undefined;
  const cap = Math.floor(now / HOUR_MS) * HOUR_MS + SERVICE_LEASE_MAX_MS;
  const why =
    second
      .replaceAll(/[\p{Cc}\p{Cf}]/gu, '')
      .trim()
      .slice(0, WHY_MAX) || 'it is busy';
  return { holder: service, why, until: Math.min(claimed, cap), isService: true };
}

function endOf(text: string, writtenAt: number): number | undefined {
  if (/^\d{1,9}$/.test(text)) return writtenAt + Number(text) * 1000;
  return parseInstant(text);
}
