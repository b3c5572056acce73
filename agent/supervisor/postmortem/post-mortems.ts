import { becauseOf, type Reason, type ReasonCode } from '../../../protocol/reasons.ts';
import type { DeviceHealth, ServiceStatus } from '../../../protocol/status.ts';
import type { DesiredServices } from '../service-spec.ts';
import type { Capsule } from './capsule.ts';
import type { CapsuleRing } from './capsule-ring.ts';
import { endOf } from './core/end-of.ts';
import { keptTimes } from './core/kept-rate.ts';

export interface PostMortemOptions {
  ring: CapsuleRing;
  statuses(): ServiceStatus[];
  why(service: string): Reason[] | undefined;
  health(): DeviceHealth;
  /** The release in force, with its services. */
  inForce(): DesiredServices;
  /** How its process ended last, as the machine shows it; undefined when that is lost. */
  exitOf(service: string): Capsule['exit'];
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

/** What is known of a service at the moment it is about. */
interface Scene {
  service: string;
  status: ServiceStatus;
  reasons: Reason[];
  at: number;
  desired: DesiredServices;
}

/** Makes capsules of crashes, at most three of a service in ten minutes, and of each service that was not well when its release was rolled back. */
export class PostMortems {
  readonly #options: PostMortemOptions;
  readonly #usage = new Map<string, ServiceStatus['usage']>();
  readonly #kept = new Map<string, number[]>();

  constructor(options: PostMortemOptions) {
    this.#options = options;
  }

  /** Keeps what services use while they run, to be told of those that crash. */
  remember(statuses: readonly ServiceStatus[]): void {
    const names = new Set(statuses.map(({ name }) => name));
    for (const known of [this.#usage, this.#kept])
      for (const name of known.keys()) if (!names.has(name)) known.delete(name);
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
    const exit = code === 'exit.lost' ? undefined : this.#options.exitOf(service);
    // The event is told in the middle of the step that it is about; its reasons stand a moment later.
    await Promise.resolve();
    const scene = this.#look(service, at, this.#options.inForce());
    const reasons = scene && endOf(scene.reasons, code, at);
    const times = keptTimes(this.#kept.get(service) ?? [], at);
    if (scene === undefined || reasons === undefined || times === undefined) return;
    this.#kept.set(service, times);
    const oomKilled = kind === 'oom' ? this.#options.oomKilled(service) : undefined;
    await this.#keep(kind, { ...scene, reasons }, { ...(exit && { exit }), ...(oomKilled && { oomKilled }) });
  }

  /**
   * Before the release that failed is taken down: how its services are is read at once. Without a service to blame
   * the capsule is about the release. Never rejects.
   */
  async noteRollback(why: Reason, failed: DesiredServices, unwell: readonly string[]): Promise<void> {
    const scenes = unwell.flatMap((service) => this.#look(service, why.at, failed) ?? []);
    const kept = scenes.map((scene) =>
      this.#keep('rollback', { ...scene, reasons: [becauseOf(why, scene.reasons[0]), ...scene.reasons] }, {}),
    );
    if (scenes.length === 0) kept.push(this.#keepRelease(why, failed));
    await Promise.all(kept);
  }

  #look(service: string, at: number, desired: DesiredServices): Scene | undefined {
    const status = this.#options.statuses().find(({ name }) => name === service);
    return status && { service, status, reasons: this.#options.why(service) ?? [status.reason], at, desired };
  }

  async #keep(
    kind: Capsule['kind'],
    { service, status, reasons, at, desired }: Scene,
    more: Pick<Capsule, 'exit' | 'oomKilled'>,
  ): Promise<void> {
    const { ring, tail, onError } = this.#options;
    try {
      const usage = status.usage ?? this.#usage.get(service);
      const seen = {
        at,
        kind,
        service,
        ...releaseOf(desired),
        ...digestOf(desired, service),
        reasons,
        ...more,
        budget: status.budget,
        ...(usage && { usage }),
        oomKills: status.oomKills,
        ...this.#device(),
      };
      await ring.add({ ...seen, log: await tail(service).catch(() => []) });
    } catch (error) {
      onError(error);
    }
  }

  async #keepRelease(why: Reason, failed: DesiredServices): Promise<void> {
    const { ring, onError } = this.#options;
    const about = { at: why.at, kind: 'rollback' as const, ...releaseOf(failed), reasons: [why], log: [] };
    try {
      await ring.add({ ...about, ...this.#device() });
    } catch (error) {
      onError(error);
    }
  }

  #device(): Pick<Capsule, 'device' | 'bootId'> {
    const { memoryAvailableBytes, memoryPressure, ioPressure, cpuPressure, temperatureCelsius, boot } =
      this.#options.health();
    const device = { memoryAvailableBytes, memoryPressure, ioPressure, cpuPressure, temperatureCelsius };
    return { device, ...(boot && { bootId: boot.id }) };
  }
}

const releaseOf = ({ release }: DesiredServices) =>
  release && { release: `${release.name} ${release.version}` };

function digestOf({ services }: DesiredServices, service: string) {
  const spec = services.find(({ name }) => name === service);
  return spec && { specDigest: spec.digest };
}
