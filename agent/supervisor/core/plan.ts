import type { Reason } from '../../../protocol/reasons.ts';
import type { Budget, ObservedContainer } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { planService, type Verdict } from './plan-service.ts';
import { newReasons, type ServiceRecord } from './record.ts';

/** One act on one service, with nothing left to decide. */
export type Step =
  | { kind: 'stop'; service: string; signal: string; reason: Reason }
  | { kind: 'kill'; service: string; reason: Reason }
  | { kind: 'remove'; service: string }
  | { kind: 'forget'; service: string }
  | { kind: 'repair-budget'; service: string; budget: Budget; reason: Reason }
  | { kind: 'start'; service: string; spec: ServiceSpec; reason: Reason };

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

const ORDER: Step['kind'][] = ['kill', 'stop', 'remove', 'forget', 'repair-budget', 'start'];

/** Steps from the world as it is to the world as desired. Asked again after each change; never resumed. */
export function plan(world: World): Plan {
  const desired = new Map(world.isShuttingDown ? [] : world.desired.map((spec) => [spec.name, spec]));
  const containers = new Map(world.observed.map((container) => [container.service, container]));
  const names = new Set([...desired.keys(), ...containers.keys(), ...world.records.keys()]);
  const result: Plan = { steps: [], waiting: [], wakeAt: undefined, records: new Map(), news: [] };
  for (const name of names) {
    const before = world.records.get(name);
    add(
      result,
      name,
      before,
      planService({ name, spec: desired.get(name), container: containers.get(name), record: before, world }),
    );
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
