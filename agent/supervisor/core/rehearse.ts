import { instancesOf, serviceOf } from '../instance-name.ts';
import type { ObservedContainer } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import type { Health } from './health.ts';
import { type ServiceTimes, timesOf } from './measured-times.ts';
import { type Plan, plan, type Step, type World } from './plan.ts';
import type { ServiceRecord } from './record.ts';
import { DRAIN_MS, type Slots, slotsOf } from './slots.ts';

/** The device as it is. Nothing of it is changed. */
export type Scene = Pick<World, 'observed' | 'records' | 'health' | 'shedding' | 'holds' | 'now'>;

export interface RehearsedStep {
  /** From the beginning, in ms. */
  atMs: number;
  kind: Exclude<Step['kind'], 'remove' | 'forget'>;
  service: string;
  /** Why, as the service's own reasons will say it. */
  why: string;
}

export interface RehearsedService {
  service: string;
  /** `replace`: the new version is started before the old one ends. */
  act: 'keep' | 'start' | 'restart' | 'replace' | 'stop' | 'wait';
  /** For how long nobody answers under its name; of one that is new, until somebody does. */
  awayMs: number;
  /** What the estimate is made of. */
  times: ServiceTimes;
  /** What it still waits for at the end. */
  waitsFor?: string;
}

export interface Rehearsal {
  /** In the order in which they are taken; housekeeping is left out. */
  steps: RehearsedStep[];
  services: RehearsedService[];
  /** Until nothing is left to do. */
  totalMs: number;
}

type Running = Extract<ObservedContainer, { state: 'running' }>;
/** What never settles within this is shown as far as it came. */
const HORIZON_MS = 3_600_000;
const MOST_PASSES = 2_000;

/**
 * What the supervisor would do to hold the device to `desired`: its own planner, pass by pass, on a machine where each
 * step takes as long as it took before.
 */
export function rehearse(scene: Scene, desired: readonly ServiceSpec[]): Rehearsal {
  const stage = new Stage(scene, desired);
  for (let passes = 0; passes < MOST_PASSES && stage.now - scene.now < HORIZON_MS; passes++)
    if (!stage.pass()) break;
  return stage.told();
}

class Stage {
  now: number;
  readonly #scene: Scene;
  readonly #desired: readonly ServiceSpec[];
  readonly #containers: Map<string, ObservedContainer>;
  #records: ReadonlyMap<string, ServiceRecord>;
  readonly #health: Map<string, Health>;
  readonly #namedSince = new Map<string, number>();
  readonly #ends = new Map<string, number>();
  readonly #steps: RehearsedStep[] = [];
  readonly #away = new Map<string, number>();
  readonly #times: Map<string, ServiceTimes>;
  #waiting: Plan['waiting'] = [];
  #pid = 0;

  constructor(scene: Scene, desired: readonly ServiceSpec[]) {
    this.now = scene.now;
    this.#scene = scene;
    this.#desired = desired;
    this.#containers = new Map(scene.observed.map((container) => [container.service, container]));
    this.#records = scene.records;
    this.#health = new Map(scene.health);
    this.#times = new Map(desired.map((spec) => [spec.name, this.#timesOf(spec)]));
  }

  /** One pass, and the time to the next; false when nothing is left to do. */
  pass(): boolean {
    this.#settleHealth();
    const observed = [...this.#containers.values()];
    const common = { observed, records: this.#records, health: this.#health, now: this.now };
    const slots = slotsOf({ ...common, desired: this.#desired, namedSince: this.#namedSince });
    const result = plan({
      ...common,
      desired: slots.desired,
      slots,
      isShuttingDown: false,
      isFirstPass: false,
      oomKills: new Map(),
      budgets: new Map(),
      degraded: new Map(),
      shedding: this.#scene.shedding,
      holds: this.#scene.holds,
    });
    const isNews = [...result.records].some(([name, { state }]) => this.#records.get(name)?.state !== state);
    this.#records = result.records;
    this.#waiting = result.waiting;
    const startMs = result.steps.map((step) => this.#take(step));
    const namedAt = this.#noteNames(slots);
    if (result.steps.length > 0) {
      this.#letPass(Math.max(...startMs));
      return true;
    }
    // What a pass found out may decide the next: on the device a process that came up asks for another look.
    if (isNews) return true;
    const next = this.#next(result.wakeAt, namedAt);
    if (next === undefined) return false;
    this.#letPass(next - this.now);
    return true;
  }

  told(): Rehearsal {
    const names = new Set([
      ...this.#scene.observed.map(({ service }) => serviceOf(service)),
      ...this.#times.keys(),
    ]);
    const services = [...names].map((service) => this.#serviceTold(service));
    return {
      steps: this.#steps,
      services,
      totalMs: this.#steps.length === 0 ? 0 : this.now - this.#scene.now,
    };
  }

  #serviceTold(service: string): RehearsedService {
    const kinds = this.#steps.filter((step) => step.service === service).map(({ kind }) => kind);
    const stops = kinds.includes('stop');
    const starts = kinds.includes('start');
    const waits = this.#waiting.find((wait) => serviceOf(wait.service) === service)?.reason.message;
    const isWanted = this.#times.has(service);
    const isReplaced = stops && starts && kinds.indexOf('start') < kinds.indexOf('stop');
    const act = !isWanted ? 'stop' : isReplaced ? 'replace' : starts ? (stops ? 'restart' : 'start') : 'keep';
    const spec = this.#desired.find(({ name }) => name === service);
    return {
      service,
      act: act === 'keep' && waits !== undefined && !this.#serves(service) ? 'wait' : act,
      awayMs: this.#away.get(service) ?? 0,
      times: this.#times.get(service) ?? this.#timesOf(spec ?? { name: service }),
      ...(waits !== undefined && !this.#serves(service) && { waitsFor: waits }),
    };
  }

  #timesOf(spec: Pick<ServiceSpec, 'name'> & Partial<ServiceSpec>): ServiceTimes {
    const name = instancesOf(spec.name).find((instance) => this.#scene.records.has(instance)) ?? spec.name;
    const known = { stop: { signal: 'SIGTERM', graceMs: 0 }, ...spec } as ServiceSpec;
    const container = this.#scene.observed.find(({ service }) => service === name);
    return timesOf(known, this.#scene.records.get(name), container);
  }

  /** How long the pass lasts for this step, in ms. */
  #take(step: Step): number {
    const service = serviceOf(step.service);
    const times = this.#times.get(service) ?? this.#timesOf({ name: service });
    if (step.kind !== 'remove' && step.kind !== 'forget') {
      const why = 'reason' in step ? step.reason.message : '';
      this.#steps.push({ atMs: this.now - this.#scene.now, kind: step.kind, service, why });
    }
    switch (step.kind) {
      case 'stop':
        this.#ends.set(step.service, this.now + times.stop.ms);
        return 0;
      case 'kill':
        this.#end(step.service);
        return 0;
      case 'remove':
        return this.#remove(step.service);
      case 'forget':
        this.#records = new Map([...this.#records].filter(([name]) => name !== step.service));
        return 0;
      case 'start':
        return this.#start(step.spec, times);
      default:
        return 0;
    }
  }

  #start({ name, digest }: ServiceSpec, { start, healthy }: ServiceTimes): number {
    const startedAt = this.now + start.ms;
    // No process has such a number.
    const pid = --this.#pid;
    this.#containers.set(name, { service: name, specDigest: digest, state: 'running', pid, startedAt });
    const isAwaited = this.#desired.some(({ dependsOn }) => dependsOn?.[serviceOf(name)] === 'completed');
    if (isAwaited) this.#ends.set(name, startedAt + healthy.ms);
    return start.ms;
  }

  #remove(name: string): number {
    this.#containers.delete(name);
    const record = this.#records.get(name);
    if (record) this.#records = new Map([...this.#records, [name, { ...record, holds: false }]]);
    return 0;
  }

  #end(name: string): void {
    this.#ends.delete(name);
    const container = this.#containers.get(name);
    if (container?.state !== 'running') return;
    const { service, specDigest, startedAt } = container;
    const exited = { service, specDigest, startedAt, exitedAt: this.now };
    this.#containers.set(name, { ...exited, state: 'exited', exitCode: 0, signal: undefined });
  }

  /** Time goes by: who does not answer meanwhile is away. */
  #letPass(ms: number): void {
    for (const service of this.#times.keys())
      if (!this.#serves(service)) this.#away.set(service, (this.#away.get(service) ?? 0) + ms);
    this.now += ms;
    for (const [name, at] of this.#ends) if (at <= this.now) this.#end(name);
  }

  #settleHealth(): void {
    for (const { name, health } of this.#desired) {
      if (health === undefined) continue;
      for (const instance of instancesOf(name))
        this.#settleOne(instance, this.#times.get(name)?.healthy.ms ?? 0);
    }
  }

  #settleOne(instance: string, healthyMs: number): void {
    const container = this.#containers.get(instance);
    if (container?.state !== 'running' || this.#health.get(instance)?.pid === container.pid) return;
    if (container.startedAt + healthyMs > this.now) return;
    const { pid, startedAt } = container;
    this.#health.set(instance, { pid, startedAt, state: 'healthy', since: this.now, failures: 0 });
  }

  /** Somebody answers under the name: an instance that runs, is not ending and is well. */
  #serves(service: string): boolean {
    return instancesOf(service).some((name) => {
      const container = this.#containers.get(name);
      if (container?.state !== 'running' || container.startedAt > this.now) return false;
      return this.#records.get(name)?.stopping === undefined && this.#isHealthy(service, container);
    });
  }

  #isHealthy(service: string, { service: name, specDigest, pid }: Running): boolean {
    const spec = this.#desired.find((wanted) => wanted.name === service);
    // Of the version that leaves nothing is asked: it answered until now.
    if (spec?.health === undefined || spec.digest !== specDigest) return true;
    const health = this.#health.get(name);
    return health?.pid === pid && health.state === 'healthy';
  }

  #noteNames({ outgoing, standby }: Slots): number | undefined {
    const named = [...outgoing].flatMap(([name, { by }]) => (standby.has(name) ? [by] : []));
    const fresh = named.filter((name) => !this.#namedSince.has(name));
    for (const name of fresh) this.#namedSince.set(name, this.now);
    return fresh.length === 0 ? undefined : this.now + DRAIN_MS;
  }

  /** When something happens by itself; undefined when nothing will. */
  #next(...wakes: (number | undefined)[]): number | undefined {
    const healthy = this.#desired.flatMap(({ name, health }) =>
      health === undefined ? [] : instancesOf(name).map((instance) => this.#healthyAt(instance, name)),
    );
    const known = [...wakes, ...this.#ends.values(), ...healthy].filter((at) => at !== undefined);
    const ahead = known.filter((at) => at > this.now);
    return ahead.length === 0 ? undefined : Math.min(...ahead);
  }

  #healthyAt(instance: string, name: string): number | undefined {
    const container = this.#containers.get(instance);
    if (container?.state !== 'running') return undefined;
    return container.startedAt + (this.#times.get(name)?.healthy.ms ?? 0);
  }
}
