import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isRunMark, LineJoiner, type LogLine } from './k8s-line.ts';
import { listSegments, type Segment } from './segments.ts';

export interface ReadLogOptions {
  /** How many of the last lines to give first; 0 = none. */
  tail: number;
  /** Go on with what is written from now on. */
  follow: boolean;
  /** Lines from this time on only, Unix ms. */
  sinceMs?: number;
  /** Of the run before the last one that began; it is not followed. */
  previous?: boolean;
  /** Ends the iteration without an error. */
  signal: AbortSignal;
}

const READ_BYTES = 64 * 1024;
const LOOK_AGAIN_MS = 200;
/** More lines are not held in memory, whatever is asked. */
const TAIL_MAX = 10_000;

type Entry = LogLine | 'run';

/** Lines of a service's log folder, oldest first, each once. A folder that is not there yet is an empty one. */
export async function* readLog(folder: string, options: ReadLogOptions): AsyncIterable<LogLine> {
  const { follow, signal, previous = false, sinceMs = 0 } = options;
  const count = Math.min(options.tail, TAIL_MAX);
  const reader = new LogReader(folder);
  try {
    yield* await (previous ? previousRun(reader, count, sinceMs) : lastLines(reader, count, sinceMs));
    if (!follow || previous) return;
    while (!signal.aborted) {
      for await (const entry of reader.entries()) {
        if (signal.aborted) return;
        if (entry !== 'run' && entry.at >= sinceMs) yield entry;
      }
      await pause(LOOK_AGAIN_MS, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    await reader.close();
  }
}

async function lastLines(reader: LogReader, count: number, sinceMs: number): Promise<LogLine[]> {
  const last = new LastLines(count);
  for await (const entry of reader.entries()) if (entry !== 'run' && entry.at >= sinceMs) last.push(entry);
  return last.get();
}

/** What stands before the last mark; nothing of a log in which there is none. */
async function previousRun(reader: LogReader, count: number, sinceMs: number): Promise<LogLine[]> {
  let before = new LastLines(0);
  let last = new LastLines(count);
  for await (const entry of reader.entries()) {
    if (entry !== 'run') {
      if (entry.at >= sinceMs) last.push(entry);
      continue;
    }
    before = last;
    last = new LastLines(count);
  }
  return before.get();
}

class LastLines {
  readonly #count: number;
  readonly #lines: LogLine[] = [];

  constructor(count: number) {
    this.#count = count;
  }

  push(line: LogLine): void {
    this.#lines.push(line);
    // Trimmed now and then only: moving the whole array for each line would be slow.
    if (this.#lines.length > 2 * this.#count + 1000) this.#lines.splice(0, this.#lines.length - this.#count);
  }

  get(): LogLine[] {
    return this.#count === 0 ? [] : this.#lines.slice(-this.#count);
  }
}

/** Reads on from where it was, from segment to segment. */
class LogReader {
  readonly #folder: string;
  readonly #buffer = Buffer.alloc(READ_BYTES);
  readonly #joiner = new LineJoiner();
  #file: FileHandle | undefined;
  #number = 0;
  #offset = 0;
  #rest = Buffer.alloc(0);

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** What was written since the last call. */
  async *entries(): AsyncIterable<Entry> {
    for (;;) {
      // Looked for before the read: a segment that has a successor by then is written no more.
      const next = this.#next();
      if (this.#file !== undefined) yield* this.#readRest(this.#file);
      if (next === undefined) return;
      await this.close();
      this.#number = next.number;
      this.#file = await openIfThere(join(this.#folder, next.name));
    }
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    this.#offset = 0;
    this.#rest = Buffer.alloc(0);
  }

  /** The segment after this one; the first one when the log was forgotten and has begun anew. */
  #next(): Segment | undefined {
    const segments = listSegments(this.#folder);
    const isAnew = (segments.at(-1)?.number ?? this.#number) < this.#number;
    return isAnew ? segments[0] : segments.find(({ number }) => number > this.#number);
  }

  async *#readRest(file: FileHandle): AsyncIterable<Entry> {
    for (;;) {
      const { bytesRead } = await file.read(this.#buffer, 0, READ_BYTES, this.#offset);
      if (bytesRead === 0) return;
      this.#offset += bytesRead;
      const data = Buffer.concat([this.#rest, this.#buffer.subarray(0, bytesRead)]);
      let start = 0;
      for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, start)) {
        const raw = data.toString('utf8', start, end);
        start = end + 1;
        if (isRunMark(raw)) {
          yield* this.#joiner.flush();
          yield 'run';
          continue;
        }
        const line = this.#joiner.push(raw);
        if (line !== undefined) yield line;
      }
      this.#rest = Buffer.from(data.subarray(start));
    }
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
