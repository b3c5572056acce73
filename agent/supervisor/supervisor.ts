import type { DeviceEvent } from '../../protocol/messages.ts';
import type { Reason } from '../../protocol/reasons.ts';
import type { DeviceHealth, ServiceStatus } from '../../protocol/status.ts';
import type { WorkloadHealth, Workloads } from '../update/ports.ts';
import { mergedReasons, type ServiceRecord } from './core/record.ts';
import type { Scene } from './core/rehearse.ts';
import type { ShedThresholds } from './core/shedding.ts';
import { notSeenYet, workloadHealth } from './core/status.ts';
import { eventOf } from './event-of.ts';
import type { Machine } from './execute.ts';
import { HealthMonitor } from './health-monitor.ts';
import { instancesOf, serviceOf } from './instance-name.ts';
import { LoadShedder } from './load-shedder.ts';
import type { DeviceStrain, HealthProbe, ObservedContainer, ServiceMemory } from './ports.ts';
import { Reconciler, type SupervisorLog } from './reconcile.ts';
import type { ServiceHolds } from './service-holds.ts';
import type { DesiredServices } from './service-spec.ts';
import { type ServiceDetails, serviceStatuses } from './statuses.ts';
import { UsageSampler } from './usage-sampler.ts';

export interface SupervisorOptions extends Machine {
  memory: ServiceMemory;
  /** Stops by hand. Whoever changes them pokes. */
  holds: Pick<ServiceHolds, 'inForce'>;
  probe: HealthProbe;
  strain: () => DeviceStrain;
  /** Of board.yaml; what is left out takes the default. */
  shedThresholds?: Partial<ShedThresholds> | undefined;
  details?: ServiceDetails | undefined;
  log: SupervisorLog;
  /** The state of a service has changed. */
  onChange: () => void;
  /** Something that the server must learn of. */
  onEvent: (event: Omit<DeviceEvent, 'v' | 'id'>) => void;
  /** Pace of usage samples, budget and network checks and of the look at what no file tells of; default 10 s. */
  sampleMs?: number;
}

const RETRY_MS = 1_000;
/** From a service's start to its first sample. */
const FIRST_SAMPLE_MS = 1_000;
/** A shorter time would say nothing of the CPU. */
const LOOK_ON_MS = 500;
const STOP_MS = 60_000;

/** Holds the device to the desired services. Nothing runs or stops before the first `apply` or `stop`. */
export class Supervisor implements Workloads {
  readonly #options: SupervisorOptions;
  readonly #reconciler: Reconciler;
  readonly #sampler: UsageSampler;
  readonly #monitor: HealthMonitor;
  readonly #shedder: LoadShedder;
  #desired: DesiredServices | undefined;
  /** The wish that the last pass was about. */
  #seenDesired: DesiredServices | undefined;
  #isShuttingDown = false;
  #isClosed = false;
  #isDue = false;
  #isFirstPass = true;
  /** At first too: what drifted while no agent ran. */
  #checksKernel = true;
  #loop: Promise<void> | undefined;
  #cancelWake: () => void = () => undefined;
  #cancelSample: () => void = () => undefined;
  #isSampleSoon = false;
  /** When somebody last asked for what services use, Unix ms. */
  #askedAt = 0;
  #unwatch: (() => void)[] = [];
  #shown = '';

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const { clock, probe, strain, shedThresholds = {} } = options;
    this.#monitor = new HealthMonitor(probe, clock, () => this.#poke());
    this.#shedder = new LoadShedder(strain, shedThresholds, clock, (reason) => {
      this.#report(undefined, reason);
      this.#poke();
    });
    this.#sampler = new UsageSampler(options.cgroups, options.clock);
    this.#reconciler = new Reconciler(options, options.memory, options.log, (instance, reason) =>
      this.#report(instance && serviceOf(instance), reason),
    );
  }

  start(): void {
    this.#reconciler.load();
    const { runtime, networks, channels } = this.#options;
    this.#unwatch = [
      runtime.watch(() => this.#poke()),
      networks.watch(() => {
        this.#checksKernel = true;
        this.#poke();
      }),
      channels.watch((service, reason) => this.#report(service, reason)),
    ];
    this.#scheduleSample();
    this.#shedder.start();
  }

  apply(desired: DesiredServices): void {
    this.#desired = desired;
    this.#poke();
  }

  health(): WorkloadHealth {
    const desired = this.#desired;
    if (desired === undefined || desired !== this.#seenDesired) return notSeenYet(desired?.services ?? []);
    return workloadHealth(
      this.#reconciler.desired,
      this.#reconciler.observed,
      this.#reconciler.records,
      this.#monitor.health(),
      this.#options.holds.inForce(),
    );
  }

  /** The device as the last pass saw it, to rehearse a release on. */
  scene(): Scene {
    const { observed, records } = this.#reconciler;
    const { clock, holds } = this.#options;
    const health = this.#monitor.health();
    const shedding = this.#shedder.state;
    return { observed, records, health, shedding, holds: holds.inForce(), now: clock.now() };
  }

  /** Brings what services use up to date, for somebody who looks on; the CPU is then the mean since the last look. */
  async sampleUsage(): Promise<void> {
    const now = this.#options.clock.now();
    if (Math.abs(now - this.#askedAt) < LOOK_ON_MS) return;
    this.#askedAt = now;
    await this.#sampler.sample(this.#reconciler.observed);
  }

  /** How far load is shed, and why; undefined when it is not. */
  shedding(): DeviceHealth['shedding'] {
    const { level, reason } = this.#shedder.state;
    return level > 0 && reason ? { level, reason } : undefined;
  }

  /** Desired services in their order, then those that are leaving. */
  statuses(): ServiceStatus[] {
    const services = this.#desired?.services ?? [];
    const desired = services.map((spec) => ({ ...spec, name: this.instanceOf(spec.name) }));
    const health = this.#monitor.health();
    return serviceStatuses(desired, this.#reconciler, this.#options, this.#sampler, health);
  }

  /** Why the service is in its state, newest first; undefined for one nobody knows. */
  why(service: string): Reason[] | undefined {
    const { records } = this.#reconciler;
    const [own, other] = instancesOf(service).flatMap((name) => records.get(name) ?? []);
    if (own !== undefined) return other === undefined ? [...own.reasons] : mergedReasons(own, other);
    return this.#isDesired(service) ? [] : undefined;
  }

  /** The name by which containers, cgroups and folders of the service go. */
  instanceOf(service: string): string {
    return this.#reconciler.instanceOf(service);
  }

  /** Stops the service and starts it anew, whatever its restart policy says. Recorded before it returns. */
  restart(service: string, who: string, why?: string): 'accepted' | 'unknown-service' {
    return this.#wish(service, { restartWanted: who, restartWhy: why });
  }

  /** Starts the service if it does not run, whatever its restart policy says. Recorded before it returns. */
  launch(service: string, by: string, why?: string): 'accepted' | 'unknown-service' {
    return this.#wish(service, { startWanted: { by, why } });
  }

  /** A stop by hand has begun: what was asked for before does not count any more. */
  halt(service: string): void {
    this.#wish(service, { restartWanted: undefined, restartWhy: undefined, startWanted: undefined });
  }

  #wish(service: string, wish: Partial<ServiceRecord>): 'accepted' | 'unknown-service' {
    if (!this.#isDesired(service)) return 'unknown-service';
    this.#reconciler.update(this.instanceOf(service), (record) => ({ ...record, ...wish }));
    this.#poke();
    return 'accepted';
  }

  /** What starts lacked has come: those that wait for it look again now. */
  tryAgain(code: 'wait.secret'): void {
    for (const [service, { blocked }] of this.#reconciler.records) {
      if (blocked?.reason.code !== code) continue;
      this.#reconciler.update(service, (record) => ({ ...record, blocked: { ...blocked, until: 0 } }));
    }
    this.#poke();
  }

  /** 'keep': services run on for the next agent. 'stop': ends and removes them; throws when something is left. */
  async stop({ services }: { services: 'keep' | 'stop' }): Promise<void> {
    if (services === 'stop') await this.#stopAll();
    this.#isClosed = true;
    for (const unwatch of this.#unwatch) unwatch();
    this.#monitor.stop();
    this.#shedder.stop();
    this.#cancelSample();
    this.#cancelWake();
    await this.#loop;
  }

  async #stopAll(): Promise<void> {
    const { clock, cgroups, rootfs, networks, channels } = this.#options;
    // They end one after another where they depend on each other.
    const graces = [...this.#reconciler.records.values()].map(({ stop }) => stop.graceMs);
    const deadline = clock.now() + graces.reduce((sum, graceMs) => sum + graceMs, STOP_MS);
    this.#isShuttingDown = true;
    for (;;) {
      this.#poke();
      await this.#loop;
      const left = this.#leftovers();
      if (left.length === 0) break;
      if (clock.now() > deadline) throw new Error(`Cannot stop all services: ${left.join(', ')} did not end`);
      await new Promise<void>((resolve) => clock.after(20, resolve));
    }
    await networks.destroy();
    await channels.destroy();
    await cgroups.destroy();
    await rootfs.destroy();
  }

  #leftovers(): string[] {
    const { observed, records } = this.#reconciler;
    const held = [...records].filter(([, { holds }]) => holds).map(([name]) => name);
    return [...new Set([...observed.map(({ service }) => service), ...held])];
  }

  #isDesired(service: string): boolean {
    return this.#desired?.services.some(({ name }) => name === service) ?? false;
  }

  /** Asks for a pass: now, or right after the one that runs. */
  #poke(): void {
    if (this.#isClosed || (this.#desired === undefined && !this.#isShuttingDown)) return;
    this.#isDue = true;
    this.#loop ??= this.#run().finally(() => {
      this.#loop = undefined;
      // Asked for after the last pass had looked.
      if (this.#isDue) this.#poke();
    });
  }

  async #run(): Promise<void> {
    let wakeAt: number | undefined;
    while (this.#isDue && !this.#isClosed) {
      this.#isDue = false;
      wakeAt = await this.#pass();
    }
    this.#wakeAt(wakeAt);
  }

  async #pass(): Promise<number | undefined> {
    const desired = this.#desired;
    const services = desired?.services ?? [];
    const checksKernel = this.#checksKernel;
    this.#checksKernel = false;
    try {
      const records = this.#isFirstPass ? this.#reconciler.records : [];
      const known = new Map([...records].map(([name, record]) => [serviceOf(name), record]));
      this.#shedder.see(services, this.#isFirstPass ? known : undefined);
      this.#isFirstPass = false;
      const health = this.#monitor.health();
      const shedding = this.#shedder.state;
      const holds = this.#options.holds.inForce();
      const wish = { desired: services, isShuttingDown: this.#isShuttingDown, health, shedding, holds };
      const { steps, wakeAt } = await this.#reconciler.pass(wish, checksKernel);
      this.#monitor.watch(this.#isShuttingDown ? [] : this.#reconciler.desired, this.#reconciler.observed);
      if (steps.length > 0) this.#isDue = true;
      else this.#seenDesired = desired;
      this.#showChange();
      this.#sampleNewSoon();
      return wakeAt;
    } catch (error) {
      this.#options.log.warn({ error: String(error) }, 'Pass failed');
      return this.#options.clock.now() + RETRY_MS;
    }
  }

  #wakeAt(at: number | undefined): void {
    this.#cancelWake();
    if (at === undefined || this.#isClosed) return;
    const { clock } = this.#options;
    this.#cancelWake = clock.after(Math.max(1, at - clock.now()), () => this.#poke());
  }

  #scheduleSample(ms = this.#options.sampleMs ?? 10_000): void {
    this.#cancelSample();
    if (!this.#isClosed) this.#cancelSample = this.#options.clock.after(ms, () => void this.#sample());
  }

  /** What a service uses shows soon after its start, not only at the next round. */
  #sampleNewSoon(): void {
    const isNew = (container: ObservedContainer): boolean =>
      container.state === 'running' && !this.#sampler.hasSeen(container.service, container.pid);
    if (this.#isSampleSoon || !this.#reconciler.observed.some(isNew)) return;
    this.#isSampleSoon = true;
    this.#scheduleSample(Math.min(FIRST_SAMPLE_MS, this.#options.sampleMs ?? FIRST_SAMPLE_MS));
  }

  async #sample(): Promise<void> {
    const isFirst = this.#isSampleSoon;
    try {
      const { clock, channels } = this.#options;
      if (Math.abs(clock.now() - this.#askedAt) >= LOOK_ON_MS)
        await this.#sampler.sample(this.#reconciler.observed);
      await channels.check();
    } catch (error) {
      this.#options.log.warn({ error: String(error) }, 'Sampling failed');
    }
    this.#isSampleSoon = false;
    if (this.#isClosed) return;
    if (isFirst) this.#options.onChange();
    this.#checksKernel = true;
    this.#scheduleSample();
    this.#poke();
  }

  #showChange(): void {
    const shown = JSON.stringify(this.statuses().map(({ usage: _usage, ...rest }) => rest));
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#options.onChange();
  }

  #report(service: string | undefined, reason: Reason): void {
    const event = eventOf(service, reason, this.#desired?.release);
    if (event) this.#options.onEvent(event);
  }
}
