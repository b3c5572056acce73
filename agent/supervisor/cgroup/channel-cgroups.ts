import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ChannelCgroups } from '../ports.ts';
import { killAndRemove, makeFolder, readKeys, readValue, setValue, writeValue } from './cgroup-files.ts';

/** Of a cgroup v1 hierarchy, and of cgroup v2. */
const V1_LIMIT = 'memory.limit_in_bytes';
const V2_LIMIT = 'memory.max';

/** Memory cgroups below `channels`, beside those of the services. */
class MemoryCgroups implements ChannelCgroups {
  readonly #limitFile: string;
  readonly #folder: string;
  readonly #prepare: () => void;

  /** `prepare` makes the folder one in which memory can be limited. */
  constructor(folder: string, limitFile: string, prepare: () => void) {
    this.#folder = folder;
    this.#limitFile = limitFile;
    this.#prepare = prepare;
  }

  make(channel: string, limitBytes: number): string {
    this.#prepare();
    const folder = join(this.#folder, channel);
    makeFolder(folder);
    setValue(folder, this.#limitFile, limitBytes);
    return join(folder, 'cgroup.procs');
  }

  read(channel: string): { limitBytes: number; usedBytes: number } | undefined {
    const folder = join(this.#folder, channel);
    const limit = readValue(folder, this.#limitFile);
    if (limit === undefined) return undefined;
    const limitBytes = limit === 'max' ? Infinity : Number(limit);
    // Its total would count what the kernel holds ready for each CPU, too.
    return { limitBytes, usedBytes: readKeys(folder, 'memory.stat')['shmem'] ?? 0 };
  }

  names(): string[] {
    if (!existsSync(this.#folder)) return [];
    const entries = readdirSync(this.#folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  }

  remove(channel: string): Promise<void> {
    return killAndRemove(join(this.#folder, channel));
  }
}

/** `memory`: where the hierarchy of the memory controller is mounted. */
export const channelCgroupsV1 = (memory: string, instance: string): ChannelCgroups => {
  const folder = join(memory, `wherry-${instance}`, 'channels');
  return new MemoryCgroups(folder, V1_LIMIT, () => makeFolder(folder));
};

/** `root`: where cgroup2 is mounted. */
export const channelCgroupsV2 = (root: string, instance: string): ChannelCgroups => {
  const base = join(root, `wherry-${instance}`);
  const folder = join(base, 'channels');
  return new MemoryCgroups(folder, V2_LIMIT, () => {
    makeFolder(folder);
    for (const level of [root, base, folder]) writeValue(level, 'cgroup.subtree_control', '+memory');
  });
};
