import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ObservedContainer } from '../ports.ts';
import { isAlive, type ProcessIdentity } from './process-identity.ts';
import type { RuntimeProgram } from './runtime-program.ts';

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
    this.#write(service, 'started.json', start);
  }

  readStart(service: string): StartRecord | undefined {
    return this.#read(service, 'started.json') as StartRecord | undefined;
  }

  /** Written before the runtime is called for the first time, so that whatever it leaves can be removed by it. */
  writeRuntime(service: string, runtime: RuntimeProgram): void {
    this.#write(service, 'runtime.json', runtime);
  }

  readRuntime(service: string): RuntimeProgram | undefined {
    return this.#read(service, 'runtime.json') as RuntimeProgram | undefined;
  }

  /** What of the container's config.json an execution in it needs. */
  readConfig(service: string): { process: { env?: string[]; oomScoreAdj?: number } } {
    return JSON.parse(readFileSync(join(this.bundle(service), 'config.json'), 'utf8')) as {
      process: { env?: string[]; oomScoreAdj?: number };
    };
  }

  readPid(service: string, file: 'pid' | 'conmon.pid'): number | undefined {
    try {
      return Number(readFileSync(join(this.bundle(service), file), 'utf8')) || undefined;
    } catch {
      return undefined;
    }
  }

  /** Where the description of a process is put that is run beside the container's own. */
  execution(service: string, number: number): string {
    return join(this.bundle(service), `exec-${process.pid}-${number}.json`);
  }

  /** Those that are at work, or were when their agent was killed. */
  executions(service: string): string[] {
    const names = readdirSync(this.bundle(service)).filter((name) => /^exec-\d+-\d+\.json$/.test(name));
    return names.map((name) => join(this.bundle(service), name));
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
    // conmon writes the exit file a moment after the process has gone; until then nothing is known.
    if (this.conmonPid(service) !== undefined) {
      const state = isAlive(start, this.#bootId) ? undefined : this.#readExit(service);
      if (state !== undefined) return { service, specDigest, state: 'exited', startedAt, ...state };
      return { service, specDigest, state: 'running', pid, startedAt };
    }
    const exit = this.#readExit(service);
    if (exit !== undefined) return { service, specDigest, state: 'exited', startedAt, ...exit };
    const what = isAlive(start, this.#bootId)
      ? 'runs on, but its monitor has ended'
      : 'and its monitor have ended';
    const detail = `Process ${pid} ${what}, so its exit code is lost`;
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

  /** Bytes that conmon has written since it began. */
  monitorWritten(service: string): { pid: number; bytes: number } | undefined {
    const pid = this.conmonPid(service);
    if (pid === undefined) return undefined;
    try {
      const io = readFileSync(`/proc/${pid}/io`, 'utf8');
      return { pid, bytes: Number(/^wchar: (\d+)$/m.exec(io)?.[1] ?? 0) };
    } catch {
      return undefined;
    }
  }

  #write(service: string, file: string, content: object): void {
    const path = join(this.bundle(service), file);
    writeFileSync(`${path}.new`, JSON.stringify(content));
    renameSync(`${path}.new`, path);
  }

  #read(service: string, file: string): unknown {
    try {
      return JSON.parse(readFileSync(join(this.bundle(service), file), 'utf8'));
    } catch {
      return undefined;
    }
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
