import { existsSync } from 'node:fs';
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
const CONTROLLERS = '+cpu +memory +pids';

/** cgroup v2: one hierarchy, the kernel's own file names. */
export class CgroupV2 implements CgroupTree {
  readonly #root: string;
  readonly #base: string;

  /** `root`: where cgroup2 is mounted. `instance` names the subtree: `/wherry-<instance>`. */
  constructor(root: string, instance: string) {
    this.#root = root;
    this.#base = `/wherry-${instance}`;
  }

  async prepare(total: Budget): Promise<void> {
    makeFolder(this.#services());
    // Each level hands the controllers down to the next.
    for (const folder of [this.#root, join(this.#root, this.#base), this.#services()]) {
      writeValue(folder, 'cgroup.subtree_control', CONTROLLERS);
    }
    write(this.#services(), total);
  }

  pathOf(service: string): string {
    return `${this.#base}/services/${service}`;
  }

  async apply(service: string, budget: Budget): Promise<void> {
    write(this.#folder(service), budget);
  }

  async read(service: string): Promise<Budget | undefined> {
    const folder = this.#folder(service);
    const memory = readValue(folder, 'memory.max');
    const cpu = readValue(folder, 'cpu.max');
    const pids = readValue(folder, 'pids.max');
    if (memory === undefined || cpu === undefined || pids === undefined) return undefined;
    const [quota, period] = cpu.split(' ');
    return {
      memoryMaxBytes: limit(memory),
      cpuMax: limit(quota ?? 'max') / Number(period ?? PERIOD_USEC),
      pidsMax: limit(pids),
    };
  }

  async usage(service: string): Promise<CgroupUsage | undefined> {
    const folder = this.#folder(service);
    const memory = readValue(folder, 'memory.current');
    if (memory === undefined) return undefined;
    return {
      memoryBytes: Number(memory),
      cpuUsec: readKey(folder, 'cpu.stat', 'usage_usec'),
      pids: Number(readValue(folder, 'pids.current') ?? 0),
      throttledUsec: readKey(folder, 'cpu.stat', 'throttled_usec'),
      oomKills: readKey(folder, 'memory.events', 'oom_kill'),
    };
  }

  async remove(service: string): Promise<void> {
    const folder = this.#folder(service);
    if (existsSync(join(folder, 'cgroup.kill'))) writeValue(folder, 'cgroup.kill', 1);
    await killAndRemove(folder);
  }

  async destroy(): Promise<void> {
    const folder = join(this.#root, this.#base);
    const pids = pidsIn(folder);
    if (pids.length > 0)
      throw new Error(`Cannot remove cgroup ${folder}: processes ${pids.join(', ')} run in it`);
    removeTree(folder);
  }

  #services(): string {
    return join(this.#root, this.#base, 'services');
  }

  #folder(service: string): string {
    return join(this.#root, this.pathOf(service));
  }
}

const limit = (text: string): number => (text === 'max' ? Infinity : Number(text));

function write(folder: string, budget: Budget): void {
  writeValue(folder, 'memory.max', budget.memoryMaxBytes);
  // Swap on flash wears it out and makes a budget soft; kernels without swap lack the file.
  if (existsSync(join(folder, 'memory.swap.max'))) writeValue(folder, 'memory.swap.max', 0);
  writeValue(folder, 'cpu.max', `${Math.round(budget.cpuMax * PERIOD_USEC)} ${PERIOD_USEC}`);
  writeValue(folder, 'pids.max', budget.pidsMax);
}
