import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Budget, CgroupTree, CgroupUsage } from '../ports.ts';
import {
  killAndRemove,
  makeFolder,
  pidsIn,
  readKey,
  readValue,
  removeTree,
  writeValue,
} from './cgroup-files.ts';

const PERIOD_USEC = 100_000;

/** Mount point of each controller, and of named hierarchies under their name. */
export type V1Mounts = Readonly<Record<string, string>>;

/** cgroup v1: one hierarchy a controller; the same path in each. */
export class CgroupV1 implements CgroupTree {
  readonly #mounts: V1Mounts;
  readonly #base: string;

  /** `instance` names the subtree: `/wherry-<instance>`. */
  constructor(mounts: V1Mounts, instance: string) {
    this.#mounts = mounts;
    this.#base = `/wherry-${instance}`;
  }

  async prepare(total: Budget): Promise<void> {
    for (const controller of ['memory', 'cpu', 'cpuacct', 'pids']) makeFolder(this.#folder(controller));
    const hierarchy = join(this.#mounts['memory'] ?? '', this.#base);
    // Kernels before 5.11 count a child at its parent only when told so.
    if (readValue(hierarchy, 'memory.use_hierarchy') === '0')
      writeValue(hierarchy, 'memory.use_hierarchy', 1);
    this.#write((controller) => this.#folder(controller), total);
  }

  pathOf(service: string): string {
    return `${this.#base}/services/${service}`;
  }

  async apply(service: string, budget: Budget): Promise<void> {
    this.#write((controller) => this.#folder(controller, service), budget);
  }

  async read(service: string): Promise<Budget | undefined> {
    const limit = readValue(this.#folder('memory', service), 'memory.limit_in_bytes');
    const quota = readValue(this.#folder('cpu', service), 'cpu.cfs_quota_us');
    const period = readValue(this.#folder('cpu', service), 'cpu.cfs_period_us');
    const pids = readValue(this.#folder('pids', service), 'pids.max');
    if (limit === undefined || quota === undefined || period === undefined || pids === undefined)
      return undefined;
    return {
      memoryMaxBytes: Number(limit),
      cpuMax: Number(quota) < 0 ? Infinity : Number(quota) / Number(period),
      pidsMax: pids === 'max' ? Infinity : Number(pids),
    };
  }

  async usage(service: string): Promise<CgroupUsage | undefined> {
    const memory = readValue(this.#folder('memory', service), 'memory.usage_in_bytes');
    if (memory === undefined) return undefined;
    const cpuNs = readValue(this.#folder('cpuacct', service), 'cpuacct.usage') ?? '0';
    return {
      memoryBytes: Number(memory),
      cpuUsec: Math.round(Number(cpuNs) / 1000),
      pids: Number(readValue(this.#folder('pids', service), 'pids.current') ?? 0),
      throttledUsec: Math.round(readKey(this.#folder('cpu', service), 'cpu.stat', 'throttled_time') / 1000),
      oomKills: readKey(this.#folder('memory', service), 'memory.oom_control', 'oom_kill'),
    };
  }

  async remove(service: string): Promise<void> {
    await Promise.all(this.#hierarchies().map((mount) => killAndRemove(join(mount, this.pathOf(service)))));
  }

  async destroy(): Promise<void> {
    for (const mount of this.#hierarchies()) {
      const pids = pidsIn(join(mount, this.#base));
      if (pids.length > 0)
        throw new Error(`Cannot remove cgroup ${this.#base}: processes ${pids.join(', ')} run in it`);
    }
    for (const mount of this.#hierarchies()) removeTree(join(mount, this.#base));
  }

  #folder(controller: string, service?: string): string {
    const mount = this.#mounts[controller] ?? '';
    return service === undefined ? join(mount, this.#base, 'services') : join(mount, this.pathOf(service));
  }

  /** The runtime makes its cgroup in every hierarchy there is, not only in those used here. */
  #hierarchies(): string[] {
    return [...new Set(Object.values(this.#mounts))].filter(
      (mount) => existsSync(mount) && readdirSync(mount).length > 0,
    );
  }

  #write(folderOf: (controller: string) => string, budget: Budget): void {
    writeMemory(folderOf('memory'), budget.memoryMaxBytes);
    writeValue(folderOf('cpu'), 'cpu.cfs_period_us', PERIOD_USEC);
    writeValue(folderOf('cpu'), 'cpu.cfs_quota_us', Math.round(budget.cpuMax * PERIOD_USEC));
    writeValue(folderOf('pids'), 'pids.max', budget.pidsMax);
  }
}

/** The kernel demands memory ≤ memory + swap at each moment: which comes first depends on the direction. */
function writeMemory(folder: string, bytes: number): void {
  const files = ['memory.limit_in_bytes'];
  const sum = readValue(folder, 'memory.memsw.limit_in_bytes');
  if (sum !== undefined) files.push('memory.memsw.limit_in_bytes');
  if (sum !== undefined && Number(sum) < bytes) files.reverse();
  for (const file of files) writeValue(folder, file, bytes);
}
