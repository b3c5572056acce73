import type { ContainerRuntime, Executed, ObservedContainer, Place } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';

export interface FakeExit {
  exitCode: number;
  signal: number | undefined;
}

/** The machine under a fake runtime: what stays when the runtime's owner dies. */
export class FakeMachine {
  readonly containers = new Map<string, ObservedContainer>();
  /** Every start that came through, in order. */
  readonly starts: string[] = [];
  readonly #watchers = new Set<() => void>();
  readonly #behaviour: (spec: ServiceSpec) => FakeExit | undefined;
  readonly #now: () => number;
  /** How a program ends that is run in a service. */
  onExec: (service: string, args: readonly string[], signal: AbortSignal) => Promise<Executed> =
    async () => ({
      exitCode: 0,
      output: '',
    });
  #pid = 1000;

  /** `behaviour` says how a service ends right after its start; undefined = it runs on. */
  constructor(
    behaviour: (spec: ServiceSpec) => FakeExit | undefined = () => undefined,
    now: () => number = Date.now,
  ) {
    this.#behaviour = behaviour;
    this.#now = now;
  }

  run(spec: ServiceSpec): { pid: number } {
    this.#pid += 1;
    this.starts.push(spec.name);
    this.containers.set(spec.name, {
      service: spec.name,
      specDigest: spec.digest,
      state: 'running',
      pid: this.#pid,
      startedAt: this.#now(),
    });
    const exit = this.#behaviour(spec);
    if (exit !== undefined) this.exit(spec.name, exit);
    return { pid: this.#pid };
  }

  exit(service: string, exit: FakeExit): void {
    const container = this.containers.get(service);
    if (container?.state !== 'running') return;
    const { specDigest, startedAt } = container;
    this.containers.set(service, {
      service,
      specDigest,
      startedAt,
      state: 'exited',
      exitedAt: this.#now(),
      ...exit,
    });
    for (const tell of this.#watchers) tell();
  }

  /** A start that was cut off half-way. */
  wreck(service: string): void {
    this.containers.set(service, {
      service,
      specDigest: undefined,
      state: 'broken',
      detail: 'cut off half-way',
    });
  }

  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange);
    return () => this.#watchers.delete(onChange);
  }
}

const SIGNALS: Record<string, number> = { SIGTERM: 15, SIGKILL: 9, SIGINT: 2 };

/** Containers that are entries in a map. Passes the contract suite of the real runtimes. */
export class FakeRuntime implements ContainerRuntime {
  readonly #machine: FakeMachine;

  constructor(machine: FakeMachine) {
    this.#machine = machine;
  }

  async observe(): Promise<ObservedContainer[]> {
    return [...this.#machine.containers.values()];
  }

  async start(
    spec: ServiceSpec,
    place: Place | Promise<Place>,
    verify: () => Promise<void>,
  ): Promise<{ pid: number }> {
    await place;
    const seen = this.#machine.containers.get(spec.name);
    if (seen?.state === 'running' && seen.specDigest === spec.digest) return { pid: seen.pid };
    this.#machine.containers.delete(spec.name);
    await verify();
    return this.#machine.run(spec);
  }

  async exec(service: string, args: readonly string[], signal: AbortSignal): Promise<Executed> {
    if (this.#machine.containers.get(service)?.state !== 'running') {
      throw new Error(
        `Cannot run ${args[0] ?? 'nothing'} in service "${service}": it does not run; start it`,
      );
    }
    return this.#machine.onExec(service, args, signal);
  }

  async kill(service: string, signal: string): Promise<void> {
    const number = SIGNALS[signal] ?? 15;
    this.#machine.exit(service, { exitCode: 128 + number, signal: number });
  }

  async remove(service: string): Promise<void> {
    this.#machine.containers.delete(service);
  }

  watch(onChange: () => void): () => void {
    return this.#machine.watch(onChange);
  }
}
