import type { ServiceStatus } from '../../../protocol/status.ts';
import type { WorkloadHealth } from '../../update/ports.ts';
import type { ObservedContainer } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import type { ServiceRecord } from './record.ts';
import { CRASH_LOOP_FAILURES } from './restart-policy.ts';

export type Usage = NonNullable<ServiceStatus['usage']> & { oomKills: number };

/** A service for people and the server. `usage` is left out when it does not run. */
export function serviceStatus(
  name: string,
  record: ServiceRecord,
  container: ObservedContainer | undefined,
  usage: Usage | undefined,
): ServiceStatus {
  const isRunning = container?.state === 'running';
  return {
    name,
    state: record.state,
    since: record.since,
    reason: record.reasons[0] ?? { code: 'start.desired', message: 'Not started yet', at: record.since },
    restarts: Math.max(0, record.starts - 1),
    oomKills: record.oomKills + (isRunning ? (usage?.oomKills ?? 0) : 0),
    budget: {
      memoryMaxBytes: record.budget.memoryMaxBytes,
      cpuMax: record.budget.cpuMax,
      pidsMax: record.budget.pidsMax,
    },
    ...(isRunning && { pid: container.pid }),
    ...(isRunning &&
      usage && {
        usage: {
          memoryBytes: usage.memoryBytes,
          cpu: usage.cpu,
          pids: usage.pids,
          throttledMs: usage.throttledMs,
        },
      }),
  };
}

/** How far the services are from what is desired. A service that completed by its policy stands in nobody's way. */
export function workloadHealth(
  desired: readonly ServiceSpec[],
  observed: readonly ObservedContainer[],
  records: ReadonlyMap<string, ServiceRecord>,
): WorkloadHealth {
  const wanted = new Map(desired.map((spec) => [spec.name, spec]));
  const containers = new Map(observed.map((container) => [container.service, container]));
  const unhealthy: WorkloadHealth['unhealthy'] = [];
  let isFailed = false;
  for (const spec of desired) {
    const record = records.get(spec.name);
    const isOwn = record?.specDigest === spec.digest;
    if (isOwn && isHopeless(record)) isFailed = true;
    if (isOwn && isWell(record, spec, containers.get(spec.name))) continue;
    unhealthy.push({ service: spec.name, message: describe(record) });
  }
  const leaving = [...new Set([...containers.keys(), ...records.keys()])].filter((name) => !wanted.has(name));
  for (const service of leaving) unhealthy.push({ service, message: 'leaving' });
  return { isConverged: unhealthy.length === 0, unhealthy, isFailed };
}

function isWell(record: ServiceRecord, spec: ServiceSpec, container: ObservedContainer | undefined): boolean {
  if (record.settled === 'completed') return true;
  const isRunning = container?.state === 'running' && container.specDigest === spec.digest;
  return isRunning && record.state === 'running' && record.failures < CRASH_LOOP_FAILURES;
}

function isHopeless(record: ServiceRecord): boolean {
  if (record.settled === 'failed' || record.settled === 'given-up') return true;
  if (record.failures >= CRASH_LOOP_FAILURES) return true;
  // Verified image data that cannot be mounted will not mount at the next attempt either.
  return record.retryAt !== undefined && record.reasons.find(isFailure)?.code === 'fail.image';
}

const isFailure = ({ code }: { code: string }): boolean =>
  code.startsWith('fail.') || code.startsWith('exit.');

function describe(record: ServiceRecord | undefined): string {
  if (record === undefined) return 'not started yet';
  const state = record.state.replace('_', ' ');
  const reason = record.reasons[0];
  return reason === undefined ? state : `${state}: ${reason.message}`;
}
