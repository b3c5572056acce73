import type { ObservedContainer } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import type { ServiceRecord } from './record.ts';

/** How long something takes, and by what that is known. */
export interface Timed {
  ms: number;
  from: 'measured' | 'grace' | 'health check' | 'assumed';
}

export interface ServiceTimes {
  /** From being asked to end to its end. */
  stop: Timed;
  /** From the beginning of a start to a process. */
  start: Timed;
  /** From the process to a check that succeeds; 0 without a check. */
  healthy: Timed;
}

/** What a start takes where none was seen: image, network and runtime of a busy small board. */
const START_MS = 1_000;
/** What lies further apart is not one act: the clock was set, or the reasons between were dropped. */
const MOST_MS = 600_000;

/** Times of a service from the reasons that are kept of it; where it was never seen, the most that it may take. */
export function timesOf(
  spec: ServiceSpec,
  record: ServiceRecord | undefined,
  container: ObservedContainer | undefined,
): ServiceTimes {
  const seen = measured(record, container);
  const { health, stop } = spec;
  const untilHealthy = health === undefined ? 0 : Math.max(health.startPeriodMs, health.intervalMs);
  return {
    stop: timed(seen.stopMs) ?? { ms: record?.stop.graceMs ?? stop.graceMs, from: 'grace' },
    start: timed(seen.startMs) ?? { ms: START_MS, from: 'assumed' },
    healthy:
      health === undefined
        ? { ms: 0, from: 'measured' }
        : (timed(seen.healthyMs) ?? { ms: untilHealthy, from: 'health check' }),
  };
}

function measured(record: ServiceRecord | undefined, container: ObservedContainer | undefined) {
  const seen: { stopMs?: number; startMs?: number; healthyMs?: number } = {};
  let stoppedAt: number | undefined;
  let startedAt: number | undefined;
  for (const { code, at } of [...(record?.reasons ?? [])].reverse()) {
    if (code.startsWith('stop.') && code !== 'stop.killed') stoppedAt = at;
    if (code.startsWith('exit.') && stoppedAt !== undefined) {
      seen.stopMs = at - stoppedAt;
      stoppedAt = undefined;
    }
    if (code.startsWith('start.') && code !== 'start.adopted') startedAt = at;
    if (code === 'health.healthy' && startedAt !== undefined) {
      seen.healthyMs = at - startedAt;
      startedAt = undefined;
    }
  }
  if (container?.state === 'running' && startedAt !== undefined)
    seen.startMs = container.startedAt - startedAt;
  return seen;
}

const timed = (ms: number | undefined): Timed | undefined =>
  ms === undefined || ms < 0 || ms > MOST_MS ? undefined : { ms, from: 'measured' };
