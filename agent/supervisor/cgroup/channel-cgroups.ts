import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ChannelCgroups } from '../ports.ts';
import { killAndRemove, makeFolder, readValue, setValue, writeValue } from './cgroup-files.ts';

/** A cgroup v1 hierarchy, or cgroup v2, by the names of its files. */
interface Files {
  limit: string;
  usage: string;
}

const V1: Files = { limit: 'memory.limit_in_bytes', usage: 'memory.usage_in_bytes' };
const V2: Files = { limit: 'memory.max', usage: 'memory.current' };

/** Memory cgroups below `channels`, beside those of the services. */
class MemoryCgroups implements ChannelCgroups {
  readonly #files: Files;
  readonly #folder: string;
  readonly #prepare: () => void;

  /** `prepare` makes the folder one in which memory can be limited. */
  constructor(folder: string, files: Files, prepare: () => void) {
    this.#folder = folder;
    this.#files = files;
    this.#prepare = prepare;
  }

  make(channel: string, limitBytes: number): string {
    this.#prepare();
    const folder = join(this.#folder, channel);
    makeFolder(folder);
    setValue(folder, this.#files.limit, limitBytes);
    return join(folder, 'cgroup.procs');
  }

  read(channel: string): { limitBytes: number; usedBytes: number } | undefined {
    const folder = join(this.#folder, channel);
    const limit = readValue(folder, this.#files.limit);
    if (limit === undefined) return undefined;
    const limitBytes = limit === 'max' ? Infinity : Number(limit);
    return { limitBytes, usedBytes: Number(readValue(folder, this.#files.usage) ?? 0) };
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
  return new MemoryCgroups(folder, V1, () => makeFolder(folder));
};

/** `root`: where cgroup2 is mounted. */
export const channelCgroupsV2 = (root: string, instance: string): ChannelCgroups => {
  const base = join(root, `wherry-${instance}`);
  const folder = join(base, 'channels');
  return new MemoryCgroups(folder, V2, () => {
    makeFolder(folder);
    for (const level of [root, base, folder]) writeValue(level, 'cgroup.subtree_control', '+memory');
  });
};
