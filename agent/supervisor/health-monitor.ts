import { type Health, newHealth, noteProbe, probeDelay } from './core/health.ts';
import type { Clock, HealthProbe, ObservedContainer } from './ports.ts';
import type { ServiceSpec } from './service-spec.ts';

interface Watch {
  spec: ServiceSpec;
  health: Health;
  /** Ends what is under way, and all that would follow. */
  end: AbortController;
}

type Check = NonNullable<ServiceSpec['health']>;

/** Looks at running services as their health checks say; one look at a time each. */
export class HealthMonitor {
  readonly #probe: HealthProbe;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #watches = new Map<string, Watch>();

  /** `onChange`: a service has become healthy or unhealthy. */
  constructor(probe: HealthProbe, clock: Clock, onChange: () => void) {
    this.#probe = probe;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  health(): Map<string, Health> {
    return new Map([...this.#watches].map(([name, { health }]) => [name, health]));
  }

  /** Looks at exactly these from now on. Another process of a service begins anew. */
  watch(specs: readonly ServiceSpec[], containers: readonly ObservedContainer[]): void {
    const wanted = new Map(specs.map((spec) => [spec.name, spec]));
    const running = new Map(containers.map((container) => [container.service, container]));
    for (const [name, { spec, health, end }] of this.#watches) {
      const container = running.get(name);
      const isSame = container?.state === 'running' && container.pid === health.pid;
      if (isSame && wanted.get(name)?.digest === spec.digest) continue;
      end.abort();
      this.#watches.delete(name);
    }
    for (const container of containers) {
      const spec = wanted.get(container.service);
      if (spec?.health === undefined || this.#watches.has(spec.name)) continue;
      if (container.state !== 'running' || container.specDigest !== spec.digest) continue;
      const health = newHealth(container.pid, container.startedAt, this.#clock.now());
      const watch = { spec, health, end: new AbortController() };
      this.#watches.set(spec.name, watch);
      this.#lookLater(watch, spec.health);
    }
  }

  stop(): void {
    this.watch([], []);
  }

  #lookLater(watch: Watch, check: Check): void {
    const cancel = this.#clock.after(probeDelay(watch.health, check, this.#clock.now()), () => {
      watch.end.signal.removeEventListener('abort', cancel);
      void this.#look(watch, check);
    });
    watch.end.signal.addEventListener('abort', cancel, { once: true });
  }

  async #look(watch: Watch, check: Check): Promise<void> {
    const detail = await this.#ask(watch, check);
    if (watch.end.signal.aborted) return;
    const before = watch.health.state;
    watch.health = noteProbe(watch.health, check, detail, this.#clock.now());
    this.#lookLater(watch, check);
    if (watch.health.state !== before) this.#onChange();
  }

  /** What the probe says, or that it said nothing in time. */
  async #ask({ spec, end }: Watch, { timeoutMs }: Check): Promise<string | undefined> {
    const late = Promise.withResolvers<string>();
    const timeout = new AbortController();
    const cancel = this.#clock.after(timeoutMs, () => {
      timeout.abort();
      late.resolve(`No answer within ${timeoutMs} ms`);
    });
    const signal = AbortSignal.any([timeout.signal, end.signal]);
    const answer = await Promise.race([this.#probe.probe(spec, signal), late.promise]);
    cancel();
    return answer;
  }
}
