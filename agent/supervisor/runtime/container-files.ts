import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ObservedContainer } from '../ports.ts';
import { isAlive, type ProcessIdentity } from './process-identity.ts';

export interface StartRecord extends ProcessIdentity {
  specDigest: string;
  /** Unix ms. */
  startedAt: number;
}

/** What tells of containers on disk, under the agent's run folder. None of it outlives a reboot. */
export class ContainerFiles {
  readonly exits: string;
  readonly sockets: string;
  readonly #root: string;
  readonly #bootId: string;
  readonly #idOf: (service: string) => string;

  constructor(runDir: string, bootId: string, idOf: (service: string) => string) {
    this.#root = join(runDir, 'services');
    this.exits = join(runDir, 'exits');
    this.sockets = join(runDir, 'sockets');
    this.#bootId = bootId;
    this.#idOf = idOf;
    for (const folder of [this.#root, this.exits, this.sockets])
      mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  bundle(service: string): string {
    return join(this.#root, service);
  }

  services(): string[] {
    return readdirSync(this.#root);
  }

  /** Written when the process was let go: a container without it was cut off half-way. */
  writeStart(service: string, start: StartRecord): void {
    const path = join(this.bundle(service), 'started.json');
    writeFileSync(`${path}.new`, JSON.stringify(start));
    renameSync(`${path}.new`, path);
  }

  readStart(service: string): StartRecord | undefined {
    try {
      return JSON.parse(readFileSync(join(this.bundle(service), 'started.json'), 'utf8')) as StartRecord;
    } catch {
      return undefined;
    }
  }

  readPid(service: string, file: 'pid' | 'conmon.pid'): number | undefined {
    try {
      return Number(readFileSync(join(this.bundle(service), file), 'utf8')) || undefined;
    } catch {
      return undefined;
    }
  }

  remove(service: string): void {
    const id = this.#idOf(service);
    for (const path of [join(this.exits, id), join(this.sockets, id), this.bundle(service)]) {
      rmSync(path, { recursive: true, force: true });
    }
  }

  observe(service: string): ObservedContainer {
    const start = this.readStart(service);
    if (start === undefined) {
      return { service, specDigest: undefined, state: 'broken', detail: 'Its start was cut off half-way' };
    }
    const { specDigest, startedAt, pid } = start;
    if (isAlive(start, this.#bootId)) return { service, specDigest, state: 'running', pid, startedAt };
    const exit = this.#readExit(service);
    if (exit !== undefined) return { service, specDigest, state: 'exited', startedAt, ...exit };
    // conmon writes the exit file a moment after the process has gone; until then nothing is known.
    if (this.#hasConmon(service)) return { service, specDigest, state: 'running', pid, startedAt };
    const detail = `Process ${pid} has ended and its monitor with it, so its exit code is lost`;
    return { service, specDigest, state: 'broken', detail };
  }

  /** conmon of this service, checked by its command line against reuse of the pid. */
  conmonPid(service: string): number | undefined {
    const pid = this.readPid(service, 'conmon.pid');
    if (pid === undefined) return undefined;
    try {
      const isOurs = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(this.#idOf(service));
      return isOurs ? pid : undefined;
    } catch {
      return undefined;
    }
  }

  #hasConmon(service: string): boolean {
    return this.conmonPid(service) !== undefined;
  }

  #readExit(service: string): { exitCode: number; signal: number | undefined; exitedAt: number } | undefined {
    const path = join(this.exits, this.#idOf(service));
    try {
      const exitCode = Number(readFileSync(path, 'utf8'));
      // conmon reports death by signal n as 128 + n, as shells do.
      const signal = exitCode > 128 && exitCode <= 128 + 64 ? exitCode - 128 : undefined;
      return { exitCode, signal, exitedAt: Math.round(statSync(path).mtimeMs) };
    } catch {
      return undefined;
    }
  }
}
