import { watch } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { LineJoiner, type LogLine } from './k8s-line.ts';

export interface ReadLogOptions {
  /** How many of the last lines to give first; 0 = none. */
  tail: number;
  /** Go on with what is written from now on. */
  follow: boolean;
  /** Ends the iteration without an error. */
  signal: AbortSignal;
}

const READ_BYTES = 64 * 1024;
/** A change that no notification told of is found after this time. */
const LOOK_AGAIN_MS = 1_000;
/** More lines are not held in memory, whatever is asked. */
const TAIL_MAX = 10_000;

/**
 * Lines of a conmon log, oldest first. conmon bounds the file by putting a new one in its place: a follower then
 * goes on with the new one. A file that is not there yet is an empty one.
 */
export async function* readLog(path: string, options: ReadLogOptions): AsyncIterable<LogLine> {
  const { follow, signal } = options;
  const reader = new LogReader(path);
  const changes = follow ? watchFile(path, signal) : undefined;
  try {
    yield* await lastLines(reader, Math.min(options.tail, TAIL_MAX));
    if (changes === undefined) return;
    while (!signal.aborted) {
      for await (const line of reader.lines()) {
        if (signal.aborted) return;
        yield line;
      }
      await changes.next();
    }
  } finally {
    changes?.close();
    await reader.close();
  }
}

async function lastLines(reader: LogReader, count: number): Promise<LogLine[]> {
  const last: LogLine[] = [];
  for await (const line of reader.lines()) {
    last.push(line);
    // Trimmed now and then only: moving the whole array for each line would be slow.
    if (last.length > 2 * count + 1000) last.splice(0, last.length - count);
  }
  return count === 0 ? [] : last.slice(-count);
}

/** Reads on from where it was, across replacement of the file. */
class LogReader {
  readonly #path: string;
  readonly #buffer = Buffer.alloc(READ_BYTES);
  #joiner = new LineJoiner();
  #file: FileHandle | undefined;
  #offset = 0;
  #rest = Buffer.alloc(0);

  constructor(path: string) {
    this.#path = path;
  }

  /** What was written since the last call. */
  async *lines(): AsyncIterable<LogLine> {
    this.#file ??= await openIfThere(this.#path);
    while (this.#file !== undefined) {
      yield* this.#readRest(this.#file);
      if (!(await this.#isReplaced(this.#file))) return;
      // The old file's last lines may have come between the read and the look.
      yield* this.#readRest(this.#file);
      await this.close();
      this.#file = await openIfThere(this.#path);
    }
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    this.#offset = 0;
    this.#rest = Buffer.alloc(0);
    this.#joiner = new LineJoiner();
  }

  async *#readRest(file: FileHandle): AsyncIterable<LogLine> {
    for (;;) {
      const { bytesRead } = await file.read(this.#buffer, 0, READ_BYTES, this.#offset);
      if (bytesRead === 0) return;
      this.#offset += bytesRead;
      const data = Buffer.concat([this.#rest, this.#buffer.subarray(0, bytesRead)]);
      let start = 0;
      for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, start)) {
        const line = this.#joiner.push(data.toString('utf8', start, end));
        start = end + 1;
        if (line !== undefined) yield line;
      }
      this.#rest = Buffer.from(data.subarray(start));
    }
  }

  async #isReplaced(file: FileHandle): Promise<boolean> {
    const now = await stat(this.#path).catch(() => undefined);
    if (now === undefined) return false;
    const held = await file.stat();
    return now.ino !== held.ino || now.size < this.#offset;
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

/** Tells of changes to a file; `next` returns after one, after a while, or when the signal is aborted. */
function watchFile(path: string, signal: AbortSignal): { next: () => Promise<void>; close: () => void } {
  let hasChanged = false;
  let wake: (() => void) | undefined;
  const tell = (): void => {
    hasChanged = true;
    wake?.();
  };
  const watcher = watch(dirname(path), { persistent: false }, (_event, name) => {
    if (name === basename(path)) tell();
  });
  watcher.on('error', tell);
  signal.addEventListener('abort', tell, { once: true });
  const next = async (): Promise<void> => {
    if (!hasChanged) {
      const timer = new AbortController();
      const changed = new Promise<void>((resolve) => {
        wake = resolve;
      });
      await Promise.race([
        changed,
        pause(LOOK_AGAIN_MS, undefined, { signal: timer.signal }).catch(() => undefined),
      ]);
      timer.abort();
    }
    hasChanged = false;
  };
  const close = (): void => {
    watcher.close();
    signal.removeEventListener('abort', tell);
  };
  return { next, close };
}
