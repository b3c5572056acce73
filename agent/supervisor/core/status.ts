import type { ServiceStatus } from '../../../protocol/status.ts';
import type { WorkloadHealth } from '../../update/ports.ts';
import { serviceOf } from '../instance-name.ts';
import type { NetworkUse, ObservedContainer } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { isExcused, isExhausted } from './exhaustion.ts';
import type { Health } from './health.ts';
import type { ServiceRecord } from './record.ts';
import { CRASH_LOOP_FAILURES } from './restart-policy.ts';
import { heldBack } from './service-hold.ts';

export type Usage = NonNullable<ServiceStatus['usage']> & { oomKills: number };

/** What is known of a service beside its record; each absent where it is not known or not so. */
export interface Seen {
  container?: ObservedContainer | undefined;
  usage?: Usage | undefined;
  logs?: ServiceStatus['logs'];
  health?: Health | undefined;
  degraded?: ServiceStatus['degraded'];
  network?: NetworkUse | undefined;
}

/** A service for people and the server. `usage` is left out when it does not run. */
export function serviceStatus(
  name: string,
  record: ServiceRecord,
  spec: ServiceSpec | undefined,
  seen: Seen,
): ServiceStatus {
  const { container, usage, degraded = [] } = seen;
  const isRunning = container?.state === 'running';
  const { memoryMaxBytes, cpuMax, pidsMax } = record.budget;
  return {
    name,
    state: record.state,
    since: record.since,
    reason: record.reasons[0] ?? { code: 'start.desired', message: 'Not started yet', at: record.since },
    restarts: Math.max(0, record.starts - 1),
    oomKills: record.oomKills + (isRunning ? (usage?.oomKills ?? 0) : 0),
    budget: { memoryMaxBytes, cpuMax, pidsMax },
    ...(spec?.kind && { kind: spec.kind }),
    ...(spec && { criticality: spec.criticality ?? 'normal' }),
    ...(degraded.length > 0 && { degraded: degraded.slice(0, DEGRADED_KEPT) }),
    ...(seen.logs && { logs: seen.logs }),
    ...(isRunning && { pid: container.pid, ...whileRunning(record, container.pid, seen) }),
  };
}

const DEGRADED_KEPT = 32;

function whileRunning(
  record: ServiceRecord,
  pid: number,
  { usage, health, network }: Seen,
): Partial<ServiceStatus> {
  const known = health?.pid === pid ? health : undefined;
  return {
    ...(record.shed === 'throttled' && { isThrottled: true }),
    ...(known && {
      health: {
        state: known.state,
        since: known.since,
        ...(known.detail !== undefined && { detail: known.detail.slice(0, 1024) }),
      },
    }),
    ...(network && { addresses: network.addresses }),
    ...(usage && { usage: usageOf(usage, network) }),
  };
}

function usageOf(
  { oomKills: _counted, ...usage }: Usage,
  network: NetworkUse | undefined,
): ServiceStatus['usage'] {
  return {
    ...usage,
    ...(network && { networkReceivedBytes: network.receivedBytes, networkSentBytes: network.sentBytes }),
  };
}

/**
 * How far the services are from what is desired. A service that completed by its policy stands in nobody's way, nor does
 * one that somebody stopped by hand, or that waits for such a one: no release is to be blamed for that.
 */
export function workloadHealth(
  desired: readonly ServiceSpec[],
  observed: readonly ObservedContainer[],
  records: ReadonlyMap<string, ServiceRecord>,
  health: ReadonlyMap<string, Health>,
  holds: { has(service: string): boolean },
): WorkloadHealth {
  const wanted = new Map(desired.map((spec) => [spec.name, spec]));
  const containers = new Map(observed.map((container) => [container.service, container]));
  const unhealthy: WorkloadHealth['unhealthy'] = [];
  const held = heldNames(desired, containers, records, holds);
  let isFailed = false;
  for (const spec of desired) {
    if (held.has(serviceOf(spec.name))) continue;
    const record = records.get(spec.name);
    const isOwn = record?.specDigest === spec.digest;
    if (isOwn && isHopeless(record, spec)) isFailed = true;
    if (isOwn && isWell(record, spec, containers.get(spec.name), health.get(spec.name))) continue;
    unhealthy.push({ service: serviceOf(spec.name), message: describe(record, spec) });
  }
  const leaving = [...new Set([...containers.keys(), ...records.keys()])].filter((name) => !wanted.has(name));
  for (const name of leaving) unhealthy.push({ service: serviceOf(name), message: 'leaving' });
  const outOfMemory = newestOutOfMemory(desired, records);
  return {
    isConverged: unhealthy.length === 0,
    unhealthy,
    isFailed,
    ...(outOfMemory && { outOfMemory }),
    ...(held.size > 0 && { held: [...held] }),
  };
}

/** Of services that no pass has been about. */
export const notSeenYet = (desired: readonly ServiceSpec[]): WorkloadHealth => ({
  isConverged: false,
  unhealthy: desired.map(({ name }) => ({ service: name, message: 'not looked at yet' })),
  isFailed: false,
});

function heldNames(
  desired: readonly ServiceSpec[],
  containers: ReadonlyMap<string, ObservedContainer>,
  records: ReadonlyMap<string, ServiceRecord>,
  holds: { has(service: string): boolean },
): Set<string> {
  const services = desired.map(({ name, digest, dependsOn = {} }) => {
    const record = records.get(name);
    const waits = record?.specDigest === digest && record.reasons[0]?.code === 'wait.dependency';
    return {
      name: serviceOf(name),
      needs: Object.keys(dependsOn),
      isWaiting: waits && record.state === 'waiting' && !containers.has(name),
    };
  });
  return heldBack(services, holds);
}

function newestOutOfMemory(
  desired: readonly ServiceSpec[],
  records: ReadonlyMap<string, ServiceRecord>,
): WorkloadHealth['outOfMemory'] {
  const kills = desired.flatMap(({ name, digest }) => {
    const record = records.get(name);
    const kill = record?.specDigest === digest && record.reasons.find(({ code }) => code === 'exit.oom');
    return kill ? [{ service: serviceOf(name), at: kill.at }] : [];
  });
  return kills.sort((a, b) => b.at - a.at)[0];
}

export function isWell(
  record: ServiceRecord,
  spec: ServiceSpec,
  container: ObservedContainer | undefined,
  health: Health | undefined,
): boolean {
  if (record.settled === 'completed') return true;
  // The release says that it goes on without a service that failed for good.
  if (isExhausted(record) && spec.restart.whenExhausted === 'stay-failed') return true;
  if (container?.state !== 'running' || container.specDigest !== spec.digest) return false;
  if (record.state !== 'running' || record.failures >= CRASH_LOOP_FAILURES) return false;
  return spec.health === undefined || (health?.pid === container.pid && health.state === 'healthy');
}

function isHopeless(record: ServiceRecord, spec: ServiceSpec): boolean {
  if (isExcused(spec, record)) return false;
  if (isExhausted(record)) return true;
  // Verified image data that cannot be mounted will not mount at the next attempt either.
  return record.retryAt !== undefined && record.reasons.find(isFailure)?.code === 'fail.image';
}

const isFailure = ({ code }: { code: string }): boolean =>
  code.startsWith('fail.') || code.startsWith('exit.');

function describe(record: ServiceRecord | undefined, spec: ServiceSpec): string {
  if (record === undefined) return 'not started yet';
  if (record.state === 'running' && spec.health) return 'running, not healthy yet';
  const state = record.state.replace('_', ' ');
  const reason = record.reasons[0];
  return reason === undefined ? state : `${state}: ${reason.message}`;
}
