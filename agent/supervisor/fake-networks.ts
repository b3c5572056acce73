import type { Networks, NetworkUse } from './ports.ts';
import type { ServiceSpec } from './service-spec.ts';

/** Segments that are entries in a map. */
export class FakeNetworks implements Networks {
  readonly attached = new Map<string, string>();
  /** Names of the services of the last `prepare`. */
  prepared: string[] = [];
  /** Instances without a name, of the last `prepare`. */
  standby: string[] = [];
  /** What the next `repair` finds missing. */
  missing: string[] = [];
  /** What the next calls fail with. */
  fault: Error | undefined;
  readonly #watchers = new Set<() => void>();

  async prepare(services: readonly ServiceSpec[], standby: ReadonlySet<string> = new Set()): Promise<void> {
    if (this.fault) throw this.fault;
    this.prepared = services.map(({ name }) => name);
    this.standby = [...standby];
  }

  async attach(spec: ServiceSpec): Promise<string | undefined> {
    if (spec.network !== 'segments') return undefined;
    if (this.fault) throw this.fault;
    const netns = `/run/netns/${spec.name}`;
    this.attached.set(spec.name, netns);
    return netns;
  }

  async detach(service: string): Promise<void> {
    this.attached.delete(service);
  }

  observe(service: string): NetworkUse | undefined {
    if (!this.attached.has(service)) return undefined;
    return { addresses: { main: '10.0.0.2' }, receivedBytes: 0, sentBytes: 0 };
  }

  async repair(): Promise<string[]> {
    if (this.fault) throw this.fault;
    return this.missing.splice(0);
  }

  watch(onLost: () => void): () => void {
    this.#watchers.add(onLost);
    return () => this.#watchers.delete(onLost);
  }

  /** Somebody takes this away. */
  lose(what: string): void {
    this.missing.push(what);
    for (const tell of this.#watchers) tell();
  }

  async destroy(): Promise<void> {
    this.attached.clear();
  }
}
