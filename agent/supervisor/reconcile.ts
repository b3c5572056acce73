import type { Reason } from '../../protocol/reasons.ts';
import type { Degradation } from '../../protocol/status.ts';
import { totalBudget } from './core/budget.ts';
import { type Plan, plan, type Step, type World } from './core/plan.ts';
import { mergedReasons, newReasons, parseRecord, type ServiceRecord } from './core/record.ts';
import { effectiveBudget } from './core/shedding.ts';
import { DRAIN_MS, instanceAmong, type Slots, slotsOf } from './core/slots.ts';
import { execute, type Machine, startFailed } from './execute.ts';
import { instancesOf, serviceOf } from './instance-name.ts';
import type { Budget, ObservedContainer, ServiceMemory } from './ports.ts';
import type { ServiceSpec } from './service-spec.ts';

export interface SupervisorLog {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

type Wish = Pick<World, 'desired' | 'isShuttingDown' | 'health' | 'shedding' | 'holds'>;

/** Steps at once: more would only queue for the same few cores. */
const CONCURRENT_STEPS = 4;

/** One pass of observe, plan, execute, and what is remembered from one to the next. */
export class Reconciler {
  readonly #machine: Machine;
  readonly #memory: ServiceMemory;
  readonly #log: SupervisorLog;
  readonly #onNews: (service: string | undefined, reason: Reason) => void;
  readonly #saved = new Map<string, string>();
  #isFirstPass = true;
  #total = '';
  /** Specifications by digest: those that run may no longer be desired. */
  readonly #specs = new Map<string, ServiceSpec>();
  #networks = '';
  /** All of the release in force were there when they were looked at last. */
  #hasChannels = false;
  #networkFault = '';
  /** By instance that takes another's place: since when the name leads to it, Unix ms. */
  readonly #namedSince = new Map<string, number>();
  /** What was remembered and seen at the end of the last pass. */
  records = new Map<string, ServiceRecord>();
  observed: ObservedContainer[] = [];
  /** What was desired in the last pass, under the names of instances. */
  desired: readonly ServiceSpec[] = [];

  constructor(
    machine: Machine,
    memory: ServiceMemory,
    log: SupervisorLog,
    onNews: (service: string | undefined, reason: Reason) => void,
  ) {
    this.#machine = machine;
    this.#memory = memory;
    this.#log = log;
    this.#onNews = onNews;
  }

  load(): void {
    for (const [service, text] of Object.entries(this.#memory.load())) {
      const record = parseRecord(text);
      if (record === undefined)
        this.#log.warn({ service }, 'What was remembered of the service cannot be read');
      else this.records.set(service, record);
      this.#saved.set(service, text);
    }
  }

  /** Changes what is remembered of a service, durably; undefined forgets it. */
  update(service: string, change: (record: ServiceRecord) => ServiceRecord | undefined): void {
    const before = this.records.get(service);
    if (before === undefined) return;
    const after = change(before);
    this.#save(service, after);
    for (const reason of after === undefined ? [] : newReasons(before, after)) this.#tell(service, reason);
  }

  /** The instance of a service that is shown and restarted. */
  instanceOf(service: string): string {
    const desired = this.desired.find(({ name }) => serviceOf(name) === service);
    return desired?.name ?? instanceAmong(service, this.records);
  }

  /** One pass. `checksKernel`: compare what the kernel holds of budgets and networks too. */
  async pass(wish: Wish, checksKernel: boolean): Promise<Plan> {
    this.observed = await this.#machine.runtime.observe();
    if (checksKernel) await this.#repairNetworks();
    const now = this.#machine.clock.now();
    const { observed, records } = this;
    const slots = slotsOf({ ...wish, observed, records, namedSince: this.#namedSince, now });
    const { desired } = slots;
    this.desired = desired;
    const result = plan({
      ...wish,
      desired,
      slots,
      isFirstPass: this.#isFirstPass,
      observed: this.observed,
      records: this.records,
      oomKills: await this.#oomKills(),
      budgets: checksKernel ? await this.#budgets() : new Map(),
      degraded: checksKernel ? this.#degraded(desired) : new Map(),
      now,
    });
    this.#isFirstPass = false;
    // Intent before act: after a crash the records say what may be half done.
    for (const [service, record] of result.records) this.#save(service, record);
    for (const { service, reason } of result.news) this.#tell(service, reason);
    const starts = result.steps.filter((step) => step.kind === 'start');
    if (starts.length > 0) await this.#prepare(desired);
    await this.#executeAll(result.steps.filter(({ kind }) => kind !== 'start'));
    const fault = wish.isShuttingDown ? undefined : await this.#prepareNetworks(slots);
    const held = fault === undefined ? [] : starts.filter(({ spec }) => needsNetwork(spec));
    for (const { service, spec } of held) {
      this.update(service, startFailed(spec, fault, 'fail.network', this.#machine.clock.now()));
    }
    const lacking = wish.isShuttingDown ? new Map() : await this.#prepareChannels(desired, starts.length > 0);
    const unshared = starts.filter(
      (step) => !held.includes(step) && faultOf(step.spec, lacking) !== undefined,
    );
    for (const { service, spec } of unshared) {
      const reason = faultOf(spec, lacking);
      this.update(service, startFailed(spec, reason, 'fail.channel', this.#machine.clock.now()));
    }
    await this.#executeAll(starts.filter((step) => !held.includes(step) && !unshared.includes(step)));
    const wakeAt = fault === undefined ? this.#noteNames(slots) : undefined;
    await this.#settleChannels(desired);
    return { ...result, wakeAt: earliest(result.wakeAt, wakeAt) };
  }

  /** Those that could not be had. At the first pass those too that are there: what happened to them meanwhile? */
  async #prepareChannels(
    desired: readonly ServiceSpec[],
    isStarting: boolean,
  ): Promise<ReadonlyMap<string, Error>> {
    const isDue =
      (isStarting || !this.#hasChannels) && desired.some(({ channels }) => channels !== undefined);
    if (!isDue) return new Map();
    const lacking = await this.#machine.channels.prepare(desired);
    this.#hasChannels = lacking.size === 0;
    for (const [channel, error] of lacking)
      this.#log.warn({ channel, error: String(error) }, 'Cannot make a channel; trying again');
    return lacking;
  }

  /** By what was seen at the beginning of the pass: one with steps is followed by another. */
  async #settleChannels(desired: readonly ServiceSpec[]): Promise<void> {
    const running = this.observed.flatMap((container) => {
      if (container.state !== 'running') return [];
      const spec = this.#specs.get(container.specDigest);
      const channels = spec && (spec.channels ?? []).map(({ id }) => id);
      return { service: container.service, startedAt: container.startedAt, channels };
    });
    await this.#machine.channels.settle(desired, running);
  }

  async #executeAll(steps: readonly Step[]): Promise<void> {
    const queue = [...steps];
    const work = async (): Promise<void> => {
      for (let step = queue.shift(); step !== undefined; step = queue.shift()) await this.#execute(step);
    };
    await Promise.all(Array.from({ length: CONCURRENT_STEPS }, work));
  }

  /** Resolves with what went wrong. Services that are leaving keep their segments until they have ended. */
  async #prepareNetworks({ desired, standby }: Slots): Promise<unknown> {
    const digests = new Set(this.observed.map(({ specDigest }) => specDigest));
    for (const digest of this.#specs.keys()) if (!digests.has(digest)) this.#specs.delete(digest);
    for (const spec of desired) this.#specs.set(spec.digest, spec);
    const specs = [...this.#specs.values()];
    const text = specs
      .map(({ digest, name }) => `${digest}${standby.has(name) ? '-' : ''}`)
      .sort()
      .join();
    if (text === this.#networks) return undefined;
    try {
      await this.#machine.networks.prepare(specs, standby);
      this.#networks = text;
      return undefined;
    } catch (error) {
      this.#log.warn({ error: String(error) }, 'Cannot prepare the networks; trying again');
      return error;
    }
  }

  /** Names were set as wanted. Resolves with when the first old instance that lost its name may end. */
  #noteNames({ outgoing, standby }: Slots): number | undefined {
    const now = this.#machine.clock.now();
    const named = [...outgoing].flatMap(([name, { by }]) => (standby.has(name) ? [by] : []));
    for (const name of this.#namedSince.keys()) if (!named.includes(name)) this.#namedSince.delete(name);
    const fresh = named.filter((name) => !this.#namedSince.has(name));
    for (const name of fresh) this.#namedSince.set(name, now);
    return fresh.length === 0 ? undefined : now + DRAIN_MS;
  }

  async #repairNetworks(): Promise<void> {
    try {
      const repaired = await this.#machine.networks.repair();
      this.#networkFault = '';
      if (repaired.length === 0) return;
      const message = `Set again: ${repaired.join(', ')}`.slice(0, 500);
      this.#tell(undefined, { code: 'repair.network', message, at: this.#machine.clock.now() });
    } catch (error) {
      const message = (error instanceof Error ? error.message : String(error)).slice(0, 500);
      // Segments may not be parted until it is repaired: that must not go untold, nor be told each round.
      if (message !== this.#networkFault)
        this.#tell(undefined, { code: 'repair.network-failed', message, at: this.#machine.clock.now() });
      this.#networkFault = message;
    }
  }

  async #execute(step: Step): Promise<void> {
    const { service, kind } = step;
    try {
      if (kind === 'forget') this.#bequeath(service);
      this.update(service, await execute(this.#machine, step));
      this.#log.info({ service, step: kind }, 'Step executed');
    } catch (error) {
      this.#log.warn({ service, step: kind, error: String(error) }, 'Step failed');
    }
  }

  /** What came of an instance is told with the one that took its place. */
  #bequeath(instance: string): void {
    const heir = instancesOf(serviceOf(instance)).find((name) => name !== instance) ?? '';
    const [gone, record] = [this.records.get(instance), this.records.get(heir)];
    if (gone !== undefined && record !== undefined)
      this.#save(heir, { ...record, reasons: mergedReasons(record, gone) });
  }

  #tell(service: string | undefined, reason: Reason): void {
    this.#log.info({ service, code: reason.code }, reason.message);
    this.#onNews(service, reason);
  }

  #save(service: string, record: ServiceRecord | undefined): void {
    if (record === undefined) {
      this.records.delete(service);
      if (this.#saved.delete(service)) this.#memory.forget(service);
      return;
    }
    this.records.set(service, record);
    const text = JSON.stringify(record);
    if (this.#saved.get(service) === text) return;
    this.#memory.save(service, text);
    this.#saved.set(service, text);
  }

  async #oomKills(): Promise<Map<string, number>> {
    const kills = new Map<string, number>();
    for (const { service, state } of this.observed) {
      if (state === 'exited') kills.set(service, (await this.#machine.cgroups.usage(service))?.oomKills ?? 0);
    }
    return kills;
  }

  async #budgets(): Promise<Map<string, Budget>> {
    const budgets = new Map<string, Budget>();
    for (const { service, state } of this.observed) {
      const held = state === 'running' ? await this.#machine.cgroups.read(service) : undefined;
      if (held !== undefined) budgets.set(service, held);
    }
    return budgets;
  }

  /** Of the throttled budget, which asks for all that the whole one does, and more. */
  #degraded(desired: readonly ServiceSpec[]): Map<string, Degradation[]> {
    const { cgroups } = this.#machine;
    return new Map(
      desired.map(({ name, resources }) => [name, cgroups.degraded(effectiveBudget(resources, 'throttled'))]),
    );
  }

  async #prepare(desired: readonly ServiceSpec[]): Promise<void> {
    const present = new Map(
      this.observed.map(({ service }) => [service, this.records.get(service)?.budget] as const),
    );
    const known = [...present].filter((entry): entry is [string, Budget] => entry[1] !== undefined);
    const total = totalBudget(desired, new Map(known));
    const text = JSON.stringify(total);
    if (text === this.#total) return;
    await this.#machine.cgroups.prepare(total);
    this.#total = text;
  }
}

const earliest = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);

const faultOf = ({ channels = [] }: ServiceSpec, lacking: ReadonlyMap<string, Error>): Error | undefined =>
  channels.flatMap(({ id }) => lacking.get(id) ?? [])[0];

const needsNetwork = ({ network, ports }: ServiceSpec): boolean =>
  network === 'segments' || ports !== undefined;
