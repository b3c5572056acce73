import { existsSync, readFileSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { LogLine, LogQuery } from '../local-api/ports.ts';
import { instancesOf } from '../supervisor/instance-name.ts';
import { LineJoiner } from '../supervisor/logs/k8s-line.ts';
import { readLog } from '../supervisor/logs/read-log.ts';
import type { SpoolPosition } from '../supervisor/logs/spool.ts';
import { readConfig } from './read-config.ts';

const SERVICE = /^[a-z0-9][a-z0-9-]{0,62}$/;
const LOOK_AGAIN_MS = 200;
const READ_BYTES = 64 * 1024;

/**
 * A service's log as it lies on disk, and after it what conmon has written since the agent took lines last. Undefined
 * when nothing is kept of such a service.
 */
export async function keptLogs(
  configFile: string,
  service: string,
  query: LogQuery,
): Promise<AsyncIterable<LogLine> | undefined> {
  const { stateDir, runDir } = readConfig(configFile).config;
  if (!SERVICE.test(service)) return undefined;
  const folder = join(stateDir, 'logs', service);
  const spools = instancesOf(service).map((name) => join(runDir, 'logs', name));
  if (!existsSync(folder) && !spools.some((path) => existsSync(`${path}.log`))) return undefined;
  return linesOf(folder, spools, query);
}

async function* linesOf(folder: string, paths: string[], query: LogQuery): AsyncGenerator<LogLine> {
  const spools = paths.map((path) => new SpoolReader(path));
  const before: LogLine[] = [];
  for await (const line of readLog(folder, { ...query, follow: false })) before.push(line);
  const since = (await newLines(spools)).filter(({ at }) => at >= (query.sinceMs ?? 0));
  // What was not taken yet is of the last run.
  const last = query.previous ? before : [...before, ...since];
  yield* query.tail === 0 ? [] : last.slice(-query.tail);
  while (query.follow && !query.signal.aborted) {
    yield* await newLines(spools);
    await pause(LOOK_AGAIN_MS, undefined, { signal: query.signal }).catch(() => undefined);
  }
}

async function newLines(spools: readonly SpoolReader[]): Promise<LogLine[]> {
  const lines = (await Promise.all(spools.map((spool) => spool.read()))).flat();
  return lines.sort((a, b) => a.at - b.at);
}

/** Reads conmon's file on from where the agent was, and the next one when conmon has put that in its place. */
class SpoolReader {
  readonly #path: string;
  readonly #joiner = new LineJoiner();
  #inode: number;
  #offset: number;
  #rest = '';

  constructor(path: string) {
    const { inode, offset } = positionOf(`${path}.position`);
    this.#path = `${path}.log`;
    this.#inode = inode;
    this.#offset = offset;
  }

  async read(): Promise<LogLine[]> {
    const now = statSync(this.#path, { throwIfNoEntry: false });
    if (now === undefined) return [];
    if (now.ino !== this.#inode || now.size < this.#offset) {
      this.#inode = now.ino;
      this.#offset = 0;
      this.#rest = '';
    }
    if (now.size === this.#offset) return [];
    const file = await open(this.#path, 'r');
    try {
      return await this.#readOn(file);
    } finally {
      await file.close();
    }
  }

  async #readOn(file: FileHandle): Promise<LogLine[]> {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    const lines: LogLine[] = [];
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, READ_BYTES, this.#offset);
      if (bytesRead === 0) return lines;
      this.#offset += bytesRead;
      // Latin-1 keeps bytes: a character may be cut between two reads.
      const parts = (this.#rest + buffer.toString('latin1', 0, bytesRead)).split('\n');
      this.#rest = parts.pop() ?? '';
      for (const part of parts) {
        const line = this.#joiner.push(Buffer.from(part, 'latin1').toString('utf8'));
        if (line !== undefined) lines.push(line);
      }
    }
  }
}

function positionOf(path: string): Pick<SpoolPosition, 'inode' | 'offset'> {
  try {
    const { position } = JSON.parse(readFileSync(path, 'utf8')) as { position: SpoolPosition };
    return position;
  } catch {
    return { inode: 0, offset: 0 };
  }
}
