import { mkdir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { DELTA_VERSION, isDigest } from '../../protocol/delta/table.ts';
import { replaceFile } from '../../protocol/durable-file.ts';

/** What is known of one pair of blobs. The file is gone when the pair is not worth a delta, or it fell out. */
export interface DeltaRecord {
  /** Of the delta's format: those of another are made anew. */
  v: typeof DELTA_VERSION;
  next: string;
  /** Absent: the blob alone, compressed. */
  old?: string;
  level: number;
  sha256: string;
  bytes: number;
  /** About what a device that holds nothing would fetch. */
  plainBytes: number;
  hasFile: boolean;
}

const keyOf = (next: string, old: string | undefined): string => `${next}-${old ?? 'none'}`;
const pathOf = (folder: string, record: DeltaRecord): string => join(folder, `delta-${record.sha256}`);

/** Deltas in a folder, by what they hold: the least recently asked for go when it outgrows its size. */
export class DeltaCache {
  readonly #folder: string;
  readonly #mostBytes: number;
  /** Insertion order is age of use. */
  readonly #records = new Map<string, DeltaRecord>();

  private constructor(folder: string, mostBytes: number) {
    this.#folder = folder;
    this.#mostBytes = mostBytes;
  }

  /** Whatever a killed build left is removed. */
  static async open(folder: string, mostBytes: number): Promise<DeltaCache> {
    const cache = new DeltaCache(folder, mostBytes);
    await rm(join(folder, 'building'), { recursive: true, force: true });
    await mkdir(join(folder, 'building'), { recursive: true });
    await mkdir(join(folder, 'pairs'), { recursive: true });
    await cache.#load();
    return cache;
  }

  get(next: string, old: string | undefined): DeltaRecord | undefined {
    return this.#records.get(keyOf(next, old));
  }

  /** Somebody fetches it: it falls out later than what nobody does. */
  async touch({ next, old }: DeltaRecord): Promise<void> {
    const key = keyOf(next, old);
    const record = this.#records.get(key);
    if (!record) return;
    this.#records.delete(key);
    this.#records.set(key, record);
    const now = new Date();
    await utimes(this.#recordPath(key), now, now).catch(() => {});
  }

  /** Where the next build may write. */
  buildPath(name: string): string {
    return join(this.#folder, 'building', name);
  }

  pathOf(object: string): string {
    return join(this.#folder, object);
  }

  /** Takes a built file in, and forgets the one before of the same pair. Durable at return. */
  async put(record: DeltaRecord, builtPath: string): Promise<void> {
    const key = keyOf(record.next, record.old);
    const before = this.#records.get(key);
    if (record.hasFile) await rename(builtPath, pathOf(this.#folder, record));
    else await rm(builtPath, { force: true });
    await replaceFile(this.#recordPath(key), JSON.stringify(record));
    this.#records.delete(key);
    this.#records.set(key, record);
    if (before && before.sha256 !== record.sha256) await rm(pathOf(this.#folder, before), { force: true });
    await this.#trim();
  }

  /** A better level gave nothing better: so it is remembered. */
  async settle(record: DeltaRecord, level: number): Promise<void> {
    const key = keyOf(record.next, record.old);
    const settled = { ...record, level };
    await replaceFile(this.#recordPath(key), JSON.stringify(settled));
    this.#records.set(key, settled);
  }

  #recordPath(key: string): string {
    return join(this.#folder, 'pairs', `${key}.json`);
  }

  async #trim(): Promise<void> {
    const files = [...this.#records.values()].filter(({ hasFile }) => hasFile);
    let bytes = files.reduce((sum, record) => sum + record.bytes, 0);
    for (const record of files) {
      if (bytes <= this.#mostBytes) return;
      bytes -= record.bytes;
      const key = keyOf(record.next, record.old);
      this.#records.delete(key);
      await rm(this.#recordPath(key), { force: true });
      await rm(pathOf(this.#folder, record), { force: true });
    }
  }

  async #load(): Promise<void> {
    const found: { key: string; record: DeltaRecord; usedAt: number }[] = [];
    for (const name of await readdir(join(this.#folder, 'pairs'))) {
      const path = join(this.#folder, 'pairs', name);
      const record = parse(await readFile(path, 'utf8'));
      const key = record && keyOf(record.next, record.old);
      const isWhole = record && name === `${key}.json` && (await this.#isWhole(record));
      if (!isWhole) await rm(path, { force: true });
      else found.push({ key: key ?? '', record, usedAt: (await stat(path)).mtimeMs });
    }
    for (const { key, record } of found.sort((a, b) => a.usedAt - b.usedAt)) this.#records.set(key, record);
    const known = new Set(found.map(({ record }) => `delta-${record.sha256}`));
    for (const name of await readdir(this.#folder)) {
      if (name.startsWith('delta-') && !known.has(name)) await rm(join(this.#folder, name), { force: true });
    }
  }

  async #isWhole(record: DeltaRecord): Promise<boolean> {
    if (!record.hasFile) return true;
    const found = await stat(pathOf(this.#folder, record)).catch(() => undefined);
    return found?.size === record.bytes;
  }
}

/** Undefined for what this server did not write. */
function parse(text: string): DeltaRecord | undefined {
  try {
    const record = JSON.parse(text) as DeltaRecord;
    return record.v === DELTA_VERSION && isDigest(record.next) && isDigest(record.sha256)
      ? record
      : undefined;
  } catch {
    return undefined;
  }
}
