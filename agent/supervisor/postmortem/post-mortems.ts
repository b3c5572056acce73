import type { Reason, ReasonCode } from '../../../protocol/reasons.ts';
import type { DeviceHealth, ServiceStatus } from '../../../protocol/status.ts';
import type { Capsule } from './capsule.ts';
import type { CapsuleRing } from './capsule-ring.ts';

export interface PostMortemOptions {
  ring: CapsuleRing;
  statuses(): ServiceStatus[];
  why(service: string): Reason[] | undefined;
  health(): DeviceHealth;
  /** "demo 1.0.0", and the digest of the service's specification. */
  releaseOf(service: string): { release?: string | undefined; specDigest?: string | undefined };
  /** The last lines of a service, oldest first. */
  tail(service: string): Promise<Capsule['log']>;
  /** The process that the kernel killed last in the service's cgroup. */
  oomKilled(service: string): Capsule['oomKilled'];
  onError(error: unknown): void;
}

const KINDS: Partial<Record<ReasonCode, Capsule['kind']>> = {
  'exit.code': 'crash',
  'exit.signal': 'crash',
  'exit.lost': 'crash',
  'exit.oom': 'oom',
};
/** An exit that leads here was none to look into. */
const PEACEFUL: ReadonlySet<ServiceStatus['state']> = new Set(['completed', 'stopped', 'stopping']);

/** Makes a capsule of each crash and of each service that was not well when its release was rolled back. */
export class PostMortems {
  readonly #options: PostMortemOptions;
  readonly #usage = new Map<string, ServiceStatus['usage']>();

  constructor(options: PostMortemOptions) {
    this.#options = options;
  }

  /** Keeps what services use while they run, to be told of those that crash. */
  remember(statuses: readonly ServiceStatus[]): void {
    const names = new Set(statuses.map(({ name }) => name));
    for (const name of this.#usage.keys()) if (!names.has(name)) this.#usage.delete(name);
    for (const { name, usage } of statuses) if (usage) this.#usage.set(name, usage);
  }

  /** Hears of every event of a service. Resolves once the capsule is kept, if there is one. Never rejects. */
  async note({
    code,
    service,
    at,
  }: {
    code: ReasonCode;
    service?: string | undefined;
    at: number;
  }): Promise<void> {
    const kind = KINDS[code];
    if (kind === undefined || service === undefined) return;
    // The event is told in the middle of the step that it is about; its state stands a moment later.
    await Promise.resolve();
    const status = this.#options.statuses().find(({ name }) => name === service);
    if (status === undefined || PEACEFUL.has(status.state)) return;
    await this.#keep(kind, service, status, at);
  }

  /** Before the release that failed is taken down. */
  async noteRollback(services: readonly string[], at: number): Promise<void> {
    for (const service of services) {
      const status = this.#options.statuses().find(({ name }) => name === service);
      if (status) await this.#keep('rollback', service, status, at);
    }
  }

  async #keep(kind: Capsule['kind'], service: string, status: ServiceStatus, at: number): Promise<void> {
    const { ring, why, health, releaseOf, tail, oomKilled, onError } = this.#options;
    try {
      const { memoryAvailableBytes, memoryPressure, ioPressure, cpuPressure, temperatureCelsius, boot } =
        health();
      const usage = status.usage ?? this.#usage.get(service);
      await ring.add({
        at,
        kind,
        service,
        ...releaseOf(service),
        reasons: why(service) ?? [status.reason],
        budget: status.budget,
        ...(usage && { usage }),
        oomKills: status.oomKills,
        ...(kind === 'oom' && { oomKilled: oomKilled(service) }),
        device: { memoryAvailableBytes, memoryPressure, ioPressure, cpuPressure, temperatureCelsius },
        log: await tail(service).catch(() => []),
        ...(boot && { bootId: boot.id }),
      });
    } catch (error) {
      onError(error);
    }
  }
}
