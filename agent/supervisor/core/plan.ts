import type { Reason } from '../../../protocol/reasons.ts';
import type { Degradation } from '../../../protocol/status.ts';
import { serviceOf } from '../instance-name.ts';
import type { Budget, ObservedContainer } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { orderOf } from './dependencies.ts';
import type { Health } from './health.ts';
import { planService, type Verdict } from './plan-service.ts';
import { newReasons, type ServiceRecord } from './record.ts';
import type { HoldInForce } from './service-hold.ts';
import { criticalities, type Shedding, shedEffect } from './shedding.ts';
import type { Slots } from './slots.ts';

/** One act on one service, with nothing left to decide. */
export type Step =
  | { kind: 'stop'; service: string; signal: string; reason: Reason }
  | { kind: 'kill'; service: string; reason: Reason }
  | { kind: 'remove'; service: string }
  | { kind: 'forget'; service: string }
  | { kind: 'set-budget'; service: string; budget: Budget; reason: Reason }
  /** `spec` with what the service is held to for now. */
  | { kind: 'start'; service: string; spec: ServiceSpec; reason: Reason }
  | { kind: 'reboot'; service: string; reason: Reason };

export interface World {
  desired: readonly ServiceSpec[];
  /** Everything is to go, because the agent's owner said so. */
  isShuttingDown: boolean;
  /** The first look after the agent came up: what runs was started by an agent before. */
  isFirstPass: boolean;
  observed: readonly ObservedContainer[];
  records: ReadonlyMap<string, ServiceRecord>;
  /** Kills for want of memory, as the cgroup of a container counts them. */
  oomKills: ReadonlyMap<string, number>;
  /** What the kernel holds, of those services that were checked in this pass. */
  budgets: ReadonlyMap<string, Budget>;
  /** What of their budgets this kernel cannot hold, of the same services. */
  degraded: ReadonlyMap<string, readonly Degradation[]>;
  /** What the health checks of running processes tell. */
  health: ReadonlyMap<string, Health>;
  shedding: Shedding;
  /** Stops by hand that are in force, by service. */
  holds: ReadonlyMap<string, HoldInForce>;
  /** Of services with two instances (slots.ts). */
  slots?: Pick<Slots, 'outgoing' | 'behind'> | undefined;
  /** Unix ms. */
  now: number;
}

export interface Waiting {
  service: string;
  reason: Reason;
  /** When to look again, Unix ms; undefined = only a change from outside ends it. */
  until: number | undefined;
}

export interface Plan {
  /** At most one a service; those that free something come first. */
  steps: Step[];
  waiting: Waiting[];
  /** Earliest time at which the plan may change by itself, Unix ms. */
  wakeAt: number | undefined;
  /** To be made durable before the steps are executed. */
  records: Map<string, ServiceRecord>;
  /** Reasons that came up in this pass, oldest first. */
  news: { service: string; reason: Reason }[];
}

const ORDER: Step['kind'][] = ['kill', 'stop', 'remove', 'forget', 'set-budget', 'start', 'reboot'];

/** Steps from the world as it is to the world as desired. Asked again after each change; never resumed. */
export function plan(world: World): Plan {
  const order = orderOf(world);
  const { desired, containers } = order;
  const classes = criticalities(world.desired);
  const names = new Set([...desired.keys(), ...containers.keys(), ...world.records.keys()]);
  const result: Plan = { steps: [], waiting: [], wakeAt: undefined, records: new Map(), news: [] };
  for (const name of names) {
    const record = world.records.get(name);
    const spec = desired.get(name);
    // One that runs on until another takes its place is shed like that one.
    const like = spec ? name : world.slots?.outgoing.get(name)?.by;
    const effect =
      like === undefined ? undefined : shedEffect(world.shedding.level, classes.get(like) ?? 'normal');
    const hold = world.holds.get(serviceOf(name));
    const subject = { name, spec, container: containers.get(name), record, effect, hold, order, world };
    add(result, name, record, planService(subject));
  }
  result.steps.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
  return result;
}

function add(result: Plan, service: string, before: ServiceRecord | undefined, verdict: Verdict): void {
  const { step, wait, wakeAt, record } = verdict;
  if (step) result.steps.push(step);
  if (wait) result.waiting.push({ service, ...wait });
  const wake = wait?.until ?? wakeAt;
  if (wake !== undefined) result.wakeAt = Math.min(result.wakeAt ?? wake, wake);
  result.records.set(service, record);
  for (const reason of newReasons(before, record)) {
    if (!isAskedFor(before, reason)) result.news.push({ service, reason });
  }
}

/** An exit that was asked for is no news: the stop was. */
const isAskedFor = (before: ServiceRecord | undefined, { code }: Reason): boolean =>
  before?.stopping !== undefined && (code === 'exit.code' || code === 'exit.signal');
