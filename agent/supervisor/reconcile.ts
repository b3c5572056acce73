import type { Reason } from '../../protocol/reasons.ts';
import type { Degradation } from '../../protocol/status.ts';
import { totalBudget } from './core/budget.ts';
import { type Plan, plan, type Step, type World } from './core/plan.ts';
import { newReasons, parseRecord, type ServiceRecord } from './core/record.ts';
import { effectiveBudget } from './core/shedding.ts';
import { execute, type Machine, startFailed } from './execute.ts';
import type { Budget, ObservedContainer, ServiceMemory } from './ports.ts';
import type { ServiceSpec } from './service-spec.ts';

export interface SupervisorLog {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

type Wish = Pick<World, 'desired' | 'isShuttingDown' | 'health' | 'shedding'>;

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
  #networkFault = '';
  /** What was remembered and seen at the end of the last pass. */
  records = new Map<string, ServiceRecord>();
  observed: ObservedContainer[] = [];

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

  /** One pass. `checksKernel`: compare what the kernel holds of budgets and networks too. */
  async pass(wish: Wish, checksKernel: boolean): Promise<Plan> {
    this.observed = await this.#machine.runtime.observe();
    if (checksKernel) await this.#repairNetworks();
    const result = plan({
      ...wish,
      isFirstPass: this.#isFirstPass,
      observed: this.observed,
      records: this.records,
      oomKills: await this.#oomKills(),
      budgets: checksKernel ? await this.#budgets() : new Map(),
      degraded: checksKernel ? this.#degraded(wish.desired) : new Map(),
      now: this.#machine.clock.now(),
    });
    this.#isFirstPass = false;
    // Intent before act: after a crash the records say what may be half done.
    for (const [service, record] of result.records) this.#save(service, record);
    for (const { service, reason } of result.news) this.#tell(service, reason);
    const starts = result.steps.filter((step) => step.kind === 'start');
    if (starts.length > 0) await this.#prepare(wish.desired);
    await this.#executeAll(result.steps.filter(({ kind }) => kind !== 'start'));
    const fault = wish.isShuttingDown ? undefined : await this.#prepareNetworks(wish.desired);
    const held = fault === undefined ? [] : starts.filter(({ spec }) => needsNetwork(spec));
    for (const { service, spec } of held) {
      this.update(service, startFailed(spec, fault, 'fail.network', this.#machine.clock.now()));
    }
    await this.#executeAll(starts.filter((step) => !held.includes(step)));
    return result;
  }

  async #executeAll(steps: readonly Step[]): Promise<void> {
    const queue = [...steps];
    const work = async (): Promise<void> => {
      for (let step = queue.shift(); step !== undefined; step = queue.shift()) await this.#execute(step);
    };
    await Promise.all(Array.from({ length: CONCURRENT_STEPS }, work));
  }

  /** Resolves with what went wrong. Services that are leaving keep their segments until they have ended. */
  async #prepareNetworks(desired: readonly ServiceSpec[]): Promise<unknown> {
    const digests = new Set(this.observed.map(({ specDigest }) => specDigest));
    for (const digest of this.#specs.keys()) if (!digests.has(digest)) this.#specs.delete(digest);
    for (const spec of desired) this.#specs.set(spec.digest, spec);
    const specs = [...this.#specs.values()];
    const text = [...this.#specs.keys()].sort().join();
    if (text === this.#networks) return undefined;
    try {
      await this.#machine.networks.prepare(specs);
      this.#networks = text;
      return undefined;
    } catch (error) {
      this.#log.warn({ error: String(error) }, 'Cannot prepare the networks; trying again');
      return error;
    }
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
      this.update(service, await execute(this.#machine, step));
      this.#log.info({ service, step: kind }, 'Step executed');
    } catch (error) {
      this.#log.warn({ service, step: kind, error: String(error) }, 'Step failed');
    }
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

const needsNetwork = ({ network, ports }: ServiceSpec): boolean =>
  network === 'segments' || ports !== undefined;
