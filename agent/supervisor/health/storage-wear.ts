import { join } from 'node:path';
import { replaceFile } from '../../../protocol/durable-file.ts';
import type { DeviceHealth } from '../../../protocol/status.ts';
import { afterLook, describeWear, readLifeTime, type WearRecord } from './core/wear.ts';
import { readRecord, readText } from './small-file.ts';

export interface StorageWearOptions {
  /** Where the record is kept. */
  file: string;
  /** "<major>:<minor>" of the whole disk. */
  disk: string;
  bootId: string;
  enduranceBytes: number | undefined;
  sys: string;
  /** A record that could not be kept; the next is tried at its time. */
  onError(error: unknown): void;
}

/** Keeping the record must not itself wear the disk. */
const KEEP_MS = 600_000;
/** Kernel Documentation/block/stat.rst: sectors are of 512 bytes, whatever the disk's own are. */
const SECTOR_BYTES = 512;

/** Counts over reboots what is written to a disk. */
export class StorageWear {
  readonly #options: StorageWearOptions;
  #record: WearRecord | undefined;
  #keptAtMs: number | undefined;
  #keeping: Promise<void> = Promise.resolve();

  constructor(options: StorageWearOptions) {
    this.#options = options;
    this.#record = readRecord<WearRecord>(options.file);
  }

  /** Undefined where the kernel does not count for this disk. */
  look(uptimeMs: number): DeviceHealth['storage'] {
    const { sys, disk, bootId, enduranceBytes, onError } = this.#options;
    const folder = join(sys, 'dev/block', disk);
    const sectors = Number(readText(join(folder, 'stat'))?.trim().split(/\s+/)[6] ?? Number.NaN);
    if (!Number.isSafeInteger(sectors)) return undefined;
    this.#record = afterLook(this.#record, { bootId, counterBytes: sectors * SECTOR_BYTES, uptimeMs });
    if (uptimeMs - (this.#keptAtMs ?? Number.NEGATIVE_INFINITY) >= KEEP_MS) {
      this.#keptAtMs = uptimeMs;
      this.keep().catch(onError);
    }
    const lifeUsedPercent = readLifeTime(readText(join(folder, 'device/life_time')) ?? '');
    return describeWear(this.#record, { enduranceBytes, lifeUsedPercent });
  }

  /** Durable at return. One write at a time: two would share the file that replaces. */
  keep(): Promise<void> {
    this.#keeping = this.#keepAfter(this.#keeping);
    return this.#keeping;
  }

  async #keepAfter(before: Promise<void>): Promise<void> {
    await before.catch(() => {});
    if (this.#record) await replaceFile(this.#options.file, JSON.stringify(this.#record));
  }
}
