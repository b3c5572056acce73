import type { Usage } from './core/status.ts';
import type { CgroupTree, CgroupUsage, Clock, ObservedContainer } from './ports.ts';

/** A process that started later is left for the next round: a shorter time says nothing of its CPU. */
const WINDOW_MS = 500;

/** What services use. Use of the CPU is the mean since the sample before. */
export class UsageSampler {
  readonly #cgroups: Pick<CgroupTree, 'usage' | 'read'>;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #last = new Map<string, { pid: number; at: number; cpuUsec: number }>();
  readonly #usage = new Map<string, Usage>();

  constructor(cgroups: Pick<CgroupTree, 'usage' | 'read'>, clock: Pick<Clock, 'now'>) {
    this.#cgroups = cgroups;
    this.#clock = clock;
  }

  get(service: string): Usage | undefined {
    return this.#usage.get(service);
  }

  /** Whether a sample of that very process was taken. */
  hasSeen(service: string, pid: number): boolean {
    return this.#last.get(service)?.pid === pid;
  }

  async sample(containers: readonly ObservedContainer[]): Promise<void> {
    const running = containers.filter((container) => container.state === 'running');
    const names = new Set(running.map(({ service }) => service));
    for (const service of this.#usage.keys()) if (!names.has(service)) this.#drop(service);
    for (const { service, pid, startedAt } of running) {
      const age = this.#clock.now() - startedAt;
      const isFirst = !this.hasSeen(service, pid);
      const isYoung = isFirst && age >= 0 && age < WINDOW_MS;
      const usage = isYoung ? undefined : await this.#cgroups.usage(service);
      // What the runtime used in the cgroup before the process began is no use of the process.
      const cpuMax = isFirst && usage ? (await this.#cgroups.read(service))?.cpuMax : undefined;
      if (usage === undefined) this.#drop(service);
      else this.#note(service, { pid, startedAt, cpuMax }, usage);
    }
  }

  #note(
    service: string,
    { pid, startedAt, cpuMax = Infinity }: { pid: number; startedAt: number; cpuMax: number | undefined },
    usage: CgroupUsage,
  ): void {
    const at = this.#clock.now();
    const last = this.#last.get(service);
    const since = last?.pid === pid ? last : { at: startedAt, cpuUsec: 0 };
    const elapsedMs = at - since.at;
    const cpu = elapsedMs > 0 ? Math.max(0, usage.cpuUsec - since.cpuUsec) / 1000 / elapsedMs : 0;
    this.#last.set(service, { pid, at, cpuUsec: usage.cpuUsec });
    const { cpuUsec: _total, throttledUsec, ...rest } = usage;
    this.#usage.set(service, {
      ...rest,
      cpu: Math.round(Math.min(cpu, cpuMax) * 10_000) / 10_000,
      throttledMs: Math.round(throttledUsec / 1000),
    });
  }

  #drop(service: string): void {
    this.#last.delete(service);
    this.#usage.delete(service);
  }
}
