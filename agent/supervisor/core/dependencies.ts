import { withoutCycles } from '../../../protocol/dependency-order.ts';
import { becauseOf, type Reason } from '../../../protocol/reasons.ts';
import { instancesOf, serviceOf } from '../instance-name.ts';
import type { ObservedContainer } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { isToBeEnded } from './health.ts';
import type { World } from './plan.ts';

type Condition = NonNullable<ServiceSpec['dependsOn']>[string];

/** Who waits for whom. Rings, which no release may hold, are taken out: nobody waits for himself. */
export interface Order {
  desired: ReadonlyMap<string, ServiceSpec>;
  containers: ReadonlyMap<string, ObservedContainer>;
  /** What each desired service waits for before it starts. */
  needs: ReadonlyMap<string, readonly string[]>;
  /** What each running service is to be outlived by. */
  keeps: ReadonlyMap<string, readonly string[]>;
}

export function orderOf(world: World): Order {
  const desired = new Map(world.isShuttingDown ? [] : world.desired.map((spec) => [spec.name, spec]));
  const containers = new Map(world.observed.map((container) => [container.service, container]));
  const wanted = [...desired.values()].map(
    ({ name, dependsOn = {} }) =>
      [name, Object.keys(dependsOn).map((needed) => instanceIn(desired, needed))] as const,
  );
  const running = world.observed.filter(({ state }) => state === 'running');
  const kept = running.map(
    ({ service }) => [service, (world.records.get(service)?.dependsOn ?? []).flatMap(instancesOf)] as const,
  );
  return { desired, containers, needs: withoutCycles(new Map(wanted)), keeps: withoutCycles(new Map(kept)) };
}

/** The instance of a service that is desired. */
const instanceIn = (desired: ReadonlyMap<string, ServiceSpec>, service: string): string =>
  instancesOf(service).find((name) => desired.has(name)) ?? service;

/** Why the service may not start yet; undefined when all that it depends on is as it asks. */
export function unmetDependency(spec: ServiceSpec, order: Order, world: World): Reason | undefined {
  const needs = order.needs.get(spec.name) ?? [];
  for (const [service, condition] of Object.entries(spec.dependsOn ?? {})) {
    const name = instanceIn(order.desired, service);
    if (!needs.includes(name) || isMet(name, condition, order, world)) continue;
    const wanted = condition === 'started' ? 'running' : condition;
    const message = `Waits for "${service}" to be ${wanted}`;
    const reason: Reason = { code: 'wait.dependency', message, at: world.now };
    return becauseOf(reason, world.records.get(name)?.reasons[0]);
  }
  return undefined;
}

function isMet(name: string, condition: Condition, { desired, containers }: Order, world: World): boolean {
  const spec = desired.get(name);
  const record = world.records.get(name);
  if (spec === undefined || record?.specDigest !== spec.digest) return false;
  const hasCompleted = record.settled === 'completed';
  if (condition === 'completed') return hasCompleted;
  const container = containers.get(name);
  const health = world.health.get(name);
  const isUp =
    container?.state === 'running' &&
    container.specDigest === spec.digest &&
    record.stopping === undefined &&
    record.restartWanted === undefined &&
    !world.holds.has(serviceOf(name)) &&
    !isToBeEnded(spec, container.pid, health);
  if (condition === 'started' || spec.health === undefined) return isUp || hasCompleted;
  return isUp && health?.pid === container.pid && health.state === 'healthy';
}

/**
 * Running services that are about to end and depend on this one: they go first. Nobody waits for one of which another
 * instance takes the place.
 */
export function dependantsLeaving(service: string, { desired, containers, keeps }: Order): string[] {
  if (desired.has(instanceIn(desired, serviceOf(service)))) return [];
  return [...keeps]
    .filter(([name, kept]) => {
      const container = containers.get(name);
      return kept.includes(service) && container?.specDigest !== desired.get(name)?.digest;
    })
    .map(([name]) => name);
}
