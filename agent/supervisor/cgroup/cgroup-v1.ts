import { existsSync, readdirSync } from 'node:fs';
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
  writeValue,
} from './cgroup-files.ts';
import { degradedParts, WHY } from './degraded.ts';
import { readPressures } from './pressure-files.ts';
import {
  hasBfqWeight,
  inheritCpuset,
  readV1,
  type V1Folders,
  writeV1,
  writeV1Quota,
  writeV1Sums,
} from './v1-budget.ts';

/** Mount point of each controller, and of named hierarchies under their name. */
export type V1Mounts = Readonly<Record<string, string>>;

/** cgroup v1: one hierarchy a controller; the same path in each. */
export class CgroupV1 implements CgroupTree {
  readonly #mounts: V1Mounts;
  readonly #base: string;
  readonly #disk: BlockDevice | undefined;

  /** `instance` names the subtree: `/wherry-<instance>`. `disk`: what io budgets are for. */
  constructor(mounts: V1Mounts, instance: string, disk?: BlockDevice) {
    this.#mounts = mounts;
    this.#base = `/wherry-${instance}`;
    this.#disk = disk;
  }

  async prepare(total: Budget): Promise<void> {
    const services = this.#folders('services');
    const cpuacct = this.#folder('cpuacct', 'services');
    for (const folder of [services.memory, services.cpu, services.pids, services.blkio, cpuacct])
      if (folder !== undefined) makeFolder(folder);
    if (services.cpuset !== undefined) inheritCpuset(services.cpuset);
    const hierarchy = join(services.memory, '..');
    // Kernels before 5.11 count a child at its parent only when told so.
    if (readValue(hierarchy, 'memory.use_hierarchy') === '0')
      writeValue(hierarchy, 'memory.use_hierarchy', 1);
    writeV1Sums(services, total);
  }

  pathOf(service: string): string {
    return `${this.#base}/services/${service}`;
  }

  async apply(service: string, budget: Budget): Promise<void> {
    writeV1(this.#folders(`services/${service}`), budget, this.#disk);
  }

  async read(service: string): Promise<Budget | undefined> {
    return readV1(this.#folders(`services/${service}`), this.#disk);
  }

  degraded(budget: Budget): Degradation[] {
    const { memory, cpuset, blkio } = this.#folders('services');
    const canSwap = !existsSync(join(memory, '../../memory.memsw.limit_in_bytes')) && machineSwaps();
    const hasWeight = this.#disk && blkio !== undefined && hasBfqWeight(blkio, this.#disk);
    return degradedParts(budget, {
      memoryHigh: WHY.v1High,
      memoryMin: WHY.v1Min,
      swap: canSwap ? WHY.swap : undefined,
      cpuset: cpuset === undefined ? WHY.cpuset : undefined,
      io: blkio === undefined ? WHY.io : this.#disk === undefined ? WHY.disk : undefined,
      ioWrites: WHY.v1Writes,
      ioWeight: hasWeight ? undefined : WHY.weight,
    });
  }

  async usage(service: string): Promise<CgroupUsage | undefined> {
    const { memory, cpu, pids, blkio } = this.#folders(`services/${service}`);
    const used = readValue(memory, 'memory.usage_in_bytes');
    if (used === undefined) return undefined;
    const cpuNs = readValue(this.#folder('cpuacct', `services/${service}`) ?? cpu, 'cpuacct.usage') ?? '0';
    const peak = readValue(memory, 'memory.max_usage_in_bytes');
    // A runtime may put the service into the cgroup2 hierarchy beside the controllers, which counts pressure.
    const beside = this.#mounts['unified'];
    return {
      memoryBytes: Number(used),
      cpuUsec: Math.round(Number(cpuNs) / 1000),
      pids: Number(readValue(pids, 'pids.current') ?? 0),
      throttledUsec: Math.round((readKeys(cpu, 'cpu.stat')['throttled_time'] ?? 0) / 1000),
      oomKills: readKeys(memory, 'memory.oom_control')['oom_kill'] ?? 0,
      ...(peak !== undefined && { memoryPeakBytes: Number(peak) }),
      ...(blkio !== undefined && this.#disk && ioOf(blkio, this.#disk)),
      ...(beside !== undefined && readPressures(join(beside, this.pathOf(service)))),
    };
  }

  async holdMonitor(service: string, pid: number): Promise<void> {
    const folder = this.#folders(`services/${service}.monitor`).cpu;
    makeFolder(folder);
    writeV1Quota(folder, MONITOR.cpuMax);
    addProcess(folder, pid);
  }

  async remove(service: string): Promise<void> {
    const folders = this.#hierarchies().map((mount) => join(mount, this.pathOf(service)));
    await Promise.all(folders.flatMap((folder) => [folder, `${folder}.monitor`]).map(killAndRemove));
  }

  async destroy(): Promise<void> {
    for (const mount of this.#hierarchies()) {
      const pids = pidsIn(join(mount, this.#base));
      if (pids.length > 0)
        throw new Error(`Cannot remove cgroup ${this.#base}: processes ${pids.join(', ')} run in it`);
    }
    for (const mount of this.#hierarchies()) removeTree(join(mount, this.#base));
  }

  #folder(controller: string, below: string): string | undefined {
    const mount = this.#mounts[controller];
    return mount === undefined ? undefined : join(mount, this.#base, below);
  }

  /** Without memory, cpu and pids there is no such tree. */
  #folders(below: string): V1Folders {
    const [memory = '', cpu = '', pids = ''] = ['memory', 'cpu', 'pids'].map((name) =>
      this.#folder(name, below),
    );
    return { memory, cpu, pids, cpuset: this.#folder('cpuset', below), blkio: this.#folder('blkio', below) };
  }

  /** The runtime makes its cgroup in every hierarchy there is, not only in those used here. */
  #hierarchies(): string[] {
    return [...new Set(Object.values(this.#mounts))].filter(
      (mount) => existsSync(mount) && readdirSync(mount).length > 0,
    );
  }
}

function ioOf(blkio: string, { id }: BlockDevice): Pick<CgroupUsage, 'ioReadBytes' | 'ioWrittenBytes'> {
  const bytes = (way: string): number =>
    Number(readLine(blkio, 'blkio.throttle.io_service_bytes', `${id} ${way}`) ?? 0);
  return { ioReadBytes: bytes('Read'), ioWrittenBytes: bytes('Write') };
}
