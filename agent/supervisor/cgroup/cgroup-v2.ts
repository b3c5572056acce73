import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Degradation } from '../../../protocol/status.ts';
import { MONITOR } from '../core/budget.ts';
import type { Budget, CgroupTree, CgroupUsage } from '../ports.ts';
import type { BlockDevice } from './block-device.ts';
import {
  addProcess,
  killAndRemove,
  machineSwaps,
  makeFolder,
  pidsIn,
  readKeys,
  readLine,
  readValue,
  removeTree,
  setValue,
  writeValue,
} from './cgroup-files.ts';
import { degradedParts, WHY } from './degraded.ts';
import { readPressures } from './pressure-files.ts';
import { readV2, type V2Disk, writeV2, writeV2Sums } from './v2-budget.ts';

const NEEDED = ['cpu', 'memory', 'pids'];
const WANTED = ['io', 'cpuset'];
/** The most a monitor may have, its log's page cache included. */
const MONITOR_MAX_BYTES = 16 * 1024 * 1024;

/** cgroup v2: one hierarchy, the kernel's own file names. */
export class CgroupV2 implements CgroupTree {
  readonly #root: string;
  readonly #base: string;
  readonly #offered: readonly string[];
  readonly #disk: V2Disk | undefined;

  /**
   * `root`: where cgroup2 is mounted. `instance` names the subtree: `/wherry-<instance>`. `disk`: what io budgets are
   * for.
   */
  constructor(root: string, instance: string, disk?: BlockDevice) {
    this.#root = root;
    this.#base = `/wherry-${instance}`;
    this.#offered = (readValue(root, 'cgroup.controllers') ?? '').split(' ');
    if (disk && this.#offered.includes('io')) this.#disk = { ...disk, weightFile: weightFile(root, disk) };
  }

  async prepare(total: Budget): Promise<void> {
    makeFolder(this.#services());
    const base = join(this.#root, this.#base);
    const controllers = [...NEEDED, ...WANTED.filter((name) => this.#offered.includes(name))];
    // Each level hands the controllers down to the next.
    for (const folder of [this.#root, base, this.#services()])
      writeValue(folder, 'cgroup.subtree_control', controllers.map((name) => `+${name}`).join(' '));
    writeV2Sums(this.#services(), total);
    // Memory is kept for a service only as far as each level above keeps it.
    setValue(base, 'memory.min', total.memoryMinBytes ?? 0);
  }

  pathOf(service: string): string {
    return `${this.#base}/services/${service}`;
  }

  async apply(service: string, budget: Budget): Promise<void> {
    writeV2(this.#folder(service), budget, this.#disk);
  }

  async read(service: string): Promise<Budget | undefined> {
    return readV2(this.#folder(service), this.#disk);
  }

  degraded(budget: Budget): Degradation[] {
    const services = this.#services();
    const canSwap = existsSync(services) && !existsSync(join(services, 'memory.swap.max')) && machineSwaps();
    const noDisk = this.#offered.includes('io') ? WHY.disk : WHY.io;
    return degradedParts(budget, {
      swap: canSwap ? WHY.swap : undefined,
      cpuset: this.#offered.includes('cpuset') ? undefined : WHY.cpuset,
      io: this.#disk === undefined ? noDisk : undefined,
      ioWeight: this.#disk?.weightFile === undefined ? WHY.weight : undefined,
    });
  }

  async usage(service: string): Promise<CgroupUsage | undefined> {
    const folder = this.#folder(service);
    const memory = readValue(folder, 'memory.current');
    if (memory === undefined) return undefined;
    const cpu = readKeys(folder, 'cpu.stat');
    const events = readKeys(folder, 'memory.events');
    const peak = readValue(folder, 'memory.peak');
    return {
      memoryBytes: Number(memory),
      cpuUsec: cpu['usage_usec'] ?? 0,
      pids: Number(readValue(folder, 'pids.current') ?? 0),
      throttledUsec: cpu['throttled_usec'] ?? 0,
      oomKills: events['oom_kill'] ?? 0,
      memoryHighEvents: events['high'] ?? 0,
      ...(peak !== undefined && { memoryPeakBytes: Number(peak) }),
      ...(this.#disk && ioOf(folder, this.#disk)),
      ...readPressures(folder),
    };
  }

  async holdMonitor(service: string, pid: number): Promise<void> {
    const folder = `${this.#folder(service)}.monitor`;
    makeFolder(folder);
    writeV2Sums(folder, { ...MONITOR, memoryMaxBytes: MONITOR_MAX_BYTES });
    addProcess(folder, pid);
  }

  async remove(service: string): Promise<void> {
    for (const folder of [this.#folder(service), `${this.#folder(service)}.monitor`]) {
      if (existsSync(join(folder, 'cgroup.kill'))) writeValue(folder, 'cgroup.kill', 1);
      await killAndRemove(folder);
    }
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

/** Weights have an effect under bfq, or with io.cost switched on for the disk. */
function weightFile(root: string, { id, scheduler }: BlockDevice): V2Disk['weightFile'] {
  if (scheduler === 'bfq') return 'io.bfq.weight';
  return readLine(root, 'io.cost.qos', id)?.includes('enable=1') ? 'io.weight' : undefined;
}

function ioOf(folder: string, { id }: BlockDevice): Pick<CgroupUsage, 'ioReadBytes' | 'ioWrittenBytes'> {
  const line = readLine(folder, 'io.stat', id) ?? '';
  const bytes = (key: string): number => Number(new RegExp(`${key}=([0-9]+)`).exec(line)?.[1] ?? 0);
  return { ioReadBytes: bytes('rbytes'), ioWrittenBytes: bytes('wbytes') };
}
