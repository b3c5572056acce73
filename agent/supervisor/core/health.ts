import type { ServiceSpec } from '../service-spec.ts';

type Policy = NonNullable<ServiceSpec['health']>;

/** What the health check of one process has told so far. */
export interface Health {
  pid: number;
  /** Of the process, Unix ms. */
  startedAt: number;
  state: 'starting' | 'healthy' | 'unhealthy';
  /** When `state` was entered, Unix ms. */
  since: number;
  /** Failures in a row that count. */
  failures: number;
  /** What the last look found amiss. */
  detail?: string | undefined;
}

/** Between looks at a service that is coming up, in ms: what depends on it waits for no more than this. */
const STARTING_PACE_MS = 500;

export const newHealth = (pid: number, startedAt: number, now: number): Health => ({
  pid,
  startedAt,
  state: 'starting',
  since: now,
  failures: 0,
});

/** Counts one look; `detail` undefined = it was well. Failures in the start period do not count. */
export function noteProbe(health: Health, policy: Policy, detail: string | undefined, now: number): Health {
  if (detail === undefined) return inState({ ...health, failures: 0, detail }, 'healthy', now);
  if (isComingUp(health, policy, now)) return { ...health, detail };
  const failures = health.failures + 1;
  const failed = { ...health, failures, detail };
  return failures >= policy.retries ? inState(failed, 'unhealthy', now) : failed;
}

/** Whether the process is to be ended because of what its check told. */
export const isToBeEnded = (spec: ServiceSpec, pid: number, health: Health | undefined): boolean =>
  spec.health?.whenUnhealthy === 'restart' && health?.pid === pid && health.state === 'unhealthy';

/** Time to the next look, in ms. */
export const probeDelay = (health: Health, policy: Policy, now: number): number =>
  isComingUp(health, policy, now) ? Math.min(policy.intervalMs, STARTING_PACE_MS) : policy.intervalMs;

/** A start that lies ahead means that the clock was set back: the start period is then over. */
const isComingUp = ({ state, startedAt }: Health, { startPeriodMs }: Policy, now: number): boolean =>
  state === 'starting' && now >= startedAt && now - startedAt < startPeriodMs;

const inState = (health: Health, state: Health['state'], now: number): Health =>
  health.state === state ? health : { ...health, state, since: now };
