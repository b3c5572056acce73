import { instancesOf } from '../instance-name.ts';
import type { ObservedContainer } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import type { Health } from './health.ts';
import type { ServiceRecord } from './record.ts';
import { isWell } from './status.ts';

/** An instance that is not desired any more and runs on beside the one that is to take its place. */
export interface Outgoing {
  by: string;
  /** The other one is well and has had the name for long enough. */
  mayGo: boolean;
  /** When that may change by itself, Unix ms. */
  until: number | undefined;
}

export interface Slots {
  /** What is desired, under the names of instances. */
  desired: ServiceSpec[];
  /** By instance. */
  outgoing: Map<string, Outgoing>;
  /** Instances that start only when another one, of the same service, is gone. */
  behind: Map<string, string>;
  /** Of services that have two instances, the ones that the name does not lead to. */
  standby: Set<string>;
}

export interface SlotWorld {
  desired: readonly ServiceSpec[];
  observed: readonly ObservedContainer[];
  records: ReadonlyMap<string, ServiceRecord>;
  health: ReadonlyMap<string, Health>;
  /** Since when the name has led to the instance that takes another's place, Unix ms. */
  namedSince: ReadonlyMap<string, number>;
  now: number;
}

/** From the start of an instance without a health check until it counts as well. */
export const SETTLE_MS = 2_000;
/** From the change of the name until the old instance is asked to end: who has just looked the name up still comes. */
export const DRAIN_MS = 1_000;

const startsFirst = ({ update }: ServiceSpec): boolean => update?.strategy === 'start-then-stop';

/** Gives each desired service its instance, and says what becomes of the other one. */
export function slotsOf(world: SlotWorld): Slots {
  const containers = new Map(world.observed.map((container) => [container.service, container]));
  const slots: Slots = { desired: [], outgoing: new Map(), behind: new Map(), standby: new Set() };
  for (const spec of world.desired) {
    const [own, other] = choose(spec, world, containers);
    slots.desired.push(own === spec.name ? spec : { ...spec, name: own });
    if (containers.get(other)?.state !== 'running') continue;
    if (!startsFirst(spec)) {
      slots.behind.set(own, other);
      slots.standby.add(other);
      continue;
    }
    const isEnding = world.records.get(other)?.stopping !== undefined;
    // Also for an agent that is new here and knows of no health yet: nobody is led back to what it is about to end.
    const outgoing =
      isEnding && containers.get(own)?.state === 'running'
        ? { by: own, mayGo: true, until: undefined, isNamed: true }
        : outgoingOf(own, { ...spec, name: own }, world, containers.get(own));
    slots.outgoing.set(other, outgoing);
    slots.standby.add(outgoing.isNamed ? other : own);
  }
  return slots;
}

/** The instance for a specification, and the other one. */
function choose(
  spec: ServiceSpec,
  { records }: SlotWorld,
  containers: ReadonlyMap<string, ObservedContainer>,
): [string, string] {
  const both = instancesOf(spec.name);
  const [first, second] = both;
  const isRunning = (name: string): boolean => containers.get(name)?.state === 'running';
  const isThere = (name: string): boolean => containers.has(name) || records.get(name)?.holds === true;
  const old = both.flatMap((name) => (isRunning(name) ? [records.get(name)] : []))[0];
  const own =
    both.find((name) => isRunning(name) && containers.get(name)?.specDigest === spec.digest) ??
    both.find((name) => records.get(name)?.specDigest === spec.digest && !runsAnother(name)) ??
    (isRunning(first) && isRunning(second) ? younger() : undefined) ??
    (startsFirst(spec) && fits(spec, old) ? both.find((name) => !isRunning(name)) : undefined) ??
    both.find(isRunning) ??
    both.find(isThere) ??
    first;
  return own === first ? [first, second] : [second, first];

  function runsAnother(name: string): boolean {
    return isRunning(name) && containers.get(name)?.specDigest !== spec.digest;
  }
  /** A third version replaces the second, which was not well yet: the first, which runs longer, stays. */
  function younger(): string {
    if (records.get(first)?.stopping !== undefined) return first;
    if (records.get(second)?.stopping !== undefined) return second;
    return startOf(first) > startOf(second) ? first : second;
  }
  function startOf(name: string): number {
    const container = containers.get(name);
    return container?.state === 'running' ? container.startedAt : 0;
  }
}

/** Admission counted the budget of the new version twice; what is running must fit into the second one. */
const fits = ({ resources }: ServiceSpec, old: ServiceRecord | undefined): boolean =>
  old !== undefined &&
  old.budget.memoryMaxBytes > 0 &&
  old.budget.memoryMaxBytes <= resources.memoryMaxBytes &&
  (old.budget.memoryMinBytes ?? 0) <= (resources.memoryMinBytes ?? 0) &&
  old.budget.cpuMax <= resources.cpuMax;

function outgoingOf(
  own: string,
  spec: ServiceSpec,
  { records, health, namedSince, now }: SlotWorld,
  container: ObservedContainer | undefined,
): Outgoing & { isNamed: boolean } {
  const record = records.get(own);
  const runsOn = { by: own, mayGo: false, until: undefined, isNamed: false };
  if (record?.specDigest !== spec.digest || record.restartWanted !== undefined) return runsOn;
  if (record.stopping !== undefined || !isWell(record, spec, container, health.get(own))) return runsOn;
  if (container?.state === 'running' && spec.health === undefined) {
    const left = remaining(container.startedAt, SETTLE_MS, now);
    if (left > 0) return { ...runsOn, until: now + left };
  }
  const since = namedSince.get(own);
  // Without a process of the new one there is nobody to come to: it completed, or the release goes on without it.
  if (container?.state !== 'running') return { ...runsOn, mayGo: true };
  if (since === undefined) return { ...runsOn, isNamed: true };
  const left = remaining(since, DRAIN_MS, now);
  return { by: own, mayGo: left === 0, until: left > 0 ? now + left : undefined, isNamed: true };
}

/** A beginning that lies ahead means that the clock was set back: the time is then over. */
const remaining = (since: number, ms: number, now: number): number =>
  since > now ? 0 : Math.max(0, since + ms - now);

/** The instance of a service that is looked at when nothing is desired of it any more. */
export const instanceAmong = (service: string, names: { has(name: string): boolean }): string =>
  instancesOf(service).find((name) => names.has(name)) ?? service;
