import { becauseOf, type Reason } from '../../../protocol/reasons.ts';
import type { ServiceSpec } from '../service-spec.ts';
import type { World } from './plan.ts';
import type { Verdict } from './plan-service.ts';
import { following, inState, type ServiceRecord, withReason } from './record.ts';
import { CRASH_LOOP_FAILURES } from './restart-policy.ts';

/** A device reboots for its services at most this often. */
export const REBOOT_PAUSE_MS = 3_600_000;

/** Failed for good under its restart policy, or about to be. */
export const isExhausted = (record: ServiceRecord): boolean =>
  record.settled === 'failed' || record.settled === 'given-up' || record.failures >= CRASH_LOOP_FAILURES;

/** Whether the release goes on although this service failed: it says so, or a reboot may still help. */
export function isExcused({ restart }: ServiceSpec, { reboot }: ServiceRecord): boolean {
  if (restart.whenExhausted === 'stay-failed') return true;
  return restart.whenExhausted === 'reboot' && (reboot === undefined || reboot.state === 'asked');
}

/** A service that had asked for a reboot gets its attempts anew when the agent comes up. */
export function afterReboot(record: ServiceRecord, { isFirstPass, now }: World): ServiceRecord {
  const { reboot } = record;
  if (reboot === undefined) return record;
  // A request that lies ahead means that the clock was set back: the pause begins now.
  if (reboot.at > now)
    return afterReboot({ ...record, reboot: { ...reboot, at: now } }, { isFirstPass, now } as World);
  if (!isFirstPass || reboot.state !== 'asked') return record;
  return {
    ...record,
    settled: undefined,
    failures: 0,
    retryAt: undefined,
    reboot: { ...reboot, state: 'tried' },
  };
}

/** For a service that gave up and whose release wants the device to reboot then. */
export function askForReboot(service: string, record: ServiceRecord, world: World): Verdict {
  const { now } = world;
  const failed = inState(record, 'failed', now);
  const newest = record.reasons[0];
  if (record.reboot?.state === 'refused' && newest)
    return { record: failed, wait: { reason: newest, until: undefined } };
  const last = Math.max(
    ...[...world.records.values()].map(({ reboot }) => Math.min(reboot?.at ?? -Infinity, now)),
  );
  const until = last + REBOOT_PAUSE_MS;
  if (until > now) {
    const isTold = newest?.code === 'wait.reboot' || newest?.code === 'device.rebooting';
    const waiting = isTold
      ? failed
      : following(failed, wish('Reboots when an hour has passed since the last reboot', now));
    const reason = waiting.reasons[0] as Reason;
    return { record: waiting, wait: { reason, until } };
  }
  const wanting = newest?.code === 'wait.reboot' ? failed : following(failed, wish('Asks for a reboot', now));
  const reason = becauseOf(
    { code: 'device.rebooting', message: `Service "${service}" failed too often in a row`, at: now },
    wanting.reasons[0],
  );
  return {
    record: withReason({ ...wanting, reboot: { at: now, state: 'asked' } }, reason),
    step: { kind: 'reboot', service, reason },
  };
}

const wish = (message: string, at: number): Reason => ({ code: 'wait.reboot', message, at });

/** The device does not reboot: the service stays failed. */
export function noteRebootRefused(record: ServiceRecord, why: string, now: number): ServiceRecord {
  const refused: ServiceRecord = { ...record, reboot: { at: record.reboot?.at ?? now, state: 'refused' } };
  return following(refused, { code: 'device.reboot-refused', message: why.slice(0, 500), at: now });
}
