import { mkdirSync, watch } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { ContainerRuntime, Executed, ObservedContainer, Place } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import type { ContainerSessions, ExecRequest, ExecSession } from '../session-port.ts';
import { abandon, createError, letBegin, readSyncPipe, spawnConmon } from './conmon-sync.ts';
import { ContainerFiles } from './container-files.ts';
import { withInit } from './init-program.ts';
import { ociSpec } from './oci-spec.ts';
import type { Placement } from './placement.ts';
import { bootId, identify, signalProcess } from './process-identity.ts';
import { killProcessesNaming } from './processes-naming.ts';
import { runInContainer } from './run-in-container.ts';
import { runProgram } from './run-program.ts';
import { DEBIAN_RUNTIMES, openRuntime, type RuntimeConfig, type RuntimeProgram } from './runtime-program.ts';

export interface ConmonOptions {
  /** Name of the runtime for services that name none. */
  runtime: string;
  /** What services may name; crun and runc unless said. */
  runtimes?: Record<string, RuntimeConfig>;
  /** Tells this agent's containers from those of other agents on the machine. */
  instance: string;
  /** Volatile state: bundles, exit files, the runtime's own state. */
  runDir: string;
  /** conmon's log files; they outlive the containers. Each is replaced by an empty one at `logMaxBytes`. */
  logsDir: string;
  logMaxBytes: number;
  cgroupsPath: (service: string) => string;
  volumePath: (volume: string) => string;
  hasSwapAccounting: boolean;
  /** What else the container gets: ids, devices, secrets. */
  placementOf?: (spec: ServiceSpec) => Promise<Partial<Placement>>;
  /** Told before anything of the service runs. */
  beforeStart?: (spec: ServiceSpec) => void;
  /** Bounds what conmon itself may use. */
  holdMonitor?: (service: string, pid: number) => Promise<void>;
}

const REMOVE_MS = 10_000;

/**
 * An OCI runtime under conmon. conmon is the parent of the container, holds its output and its exit code, and is in
 * a session of its own: it outlives this process.
 */
export class ConmonRuntime implements ContainerRuntime, ContainerSessions {
  readonly #options: ConmonOptions;
  readonly #runtimes: Record<string, RuntimeConfig>;
  readonly #files: ContainerFiles;
  readonly #bootId = bootId();
  #executions = 0;

  constructor(options: ConmonOptions) {
    this.#options = options;
    this.#runtimes = options.runtimes ?? DEBIAN_RUNTIMES;
    this.#files = new ContainerFiles(options.runDir, this.#bootId, (service) => this.#id(service));
    mkdirSync(options.logsDir, { recursive: true });
    // A device without its default runtime is told so at once, not at the first start.
    openRuntime(this.#runtimes, options.runtime, options.runDir);
  }

  async observe(): Promise<ObservedContainer[]> {
    return this.#files.services().map((service) => this.#files.observe(service));
  }

  async start(
    spec: ServiceSpec,
    place: Place | Promise<Place>,
    verify: () => Promise<void>,
  ): Promise<{ pid: number }> {
    const service = spec.name;
    const seen = this.#files.services().includes(service) ? this.#files.observe(service) : undefined;
    if (seen?.state === 'running' && seen.specDigest === spec.digest) return { pid: seen.pid };
    if (seen !== undefined) await this.remove(service);
    const runtime = this.#open(spec.runtime);
    try {
      const pid = await this.#create(spec, place, runtime);
      await verify();
      const { plainProgram, args } = runtime;
      await runProgram(plainProgram, [...args, ...this.#rootArgs(), 'start', this.#id(service)]);
      const identity = identify(pid, this.#bootId) ?? { pid, startTicks: 0, bootId: this.#bootId };
      this.#files.writeStart(service, { ...identity, specDigest: spec.digest, startedAt: Date.now() });
      return { pid };
    } catch (error) {
      await this.remove(service);
      throw error;
    }
  }

  async exec(service: string, args: readonly string[], signal: AbortSignal): Promise<Executed> {
    return runInContainer({ ...this.#execution(service, args[0]), args }, signal);
  }

  async openSession(service: string, request: ExecRequest): Promise<ExecSession> {
    // Few devices ever run one.
    const { openContainerSession } = await import('./container-session.ts');
    return openContainerSession({ ...this.#execution(service, request.argv[0]), service }, request);
  }

  /** Ends what an agent that was killed had begun in containers that run on. Before anything is begun here. */
  async endStrays(): Promise<void> {
    const strays = this.#files
      .services()
      .flatMap((service) => this.#files.executions(service).map((file) => ({ service, file })));
    if (strays.length === 0) return;
    const { endStray } = await import('./stray-session.ts');
    for (const { service, file } of strays) await endStray(file, this.#files.readStart(service)?.pid);
  }

  async kill(service: string, signal: string): Promise<void> {
    const start = this.#files.readStart(service);
    if (start !== undefined) signalProcess(start, this.#bootId, signal as NodeJS.Signals);
  }

  async remove(service: string): Promise<void> {
    if (!this.#files.services().includes(service)) return;
    const id = this.#id(service);
    // A start that was cut off may still be at work: conmon, the runtime it called, or both.
    if (this.#files.readStart(service) === undefined) await killProcessesNaming(id);
    const conmon = this.#files.conmonPid(service);
    const { program, args } = this.#runtimeOf(service);
    await runProgram(program, [...args, ...this.#rootArgs(), 'delete', '--force', id]);
    if (conmon !== undefined) await this.#awaitEnd(service, conmon);
    this.#files.remove(service);
  }

  watch(onChange: () => void): () => void {
    const watcher = watch(this.#files.exits, { persistent: false }, () => onChange());
    return () => watcher.close();
  }

  /** Bytes that the service's conmon has written since it began, mostly log; undefined without one. */
  monitorWritten(service: string): { pid: number; bytes: number } | undefined {
    return this.#files.monitorWritten(service);
  }

  #execution(service: string, program = 'nothing') {
    const seen = this.#files.services().includes(service) ? this.#files.observe(service) : undefined;
    if (seen?.state !== 'running')
      throw new Error(`Cannot run ${program} in service "${service}": it does not run; start it`);
    const runtime = this.#runtimeOf(service);
    this.#executions += 1;
    return {
      runtime: [runtime.program, ...runtime.args, ...this.#rootArgs()],
      id: this.#id(service),
      pid: seen.pid,
      process: this.#files.readConfig(service).process,
      file: this.#files.execution(service, this.#executions),
    };
  }

  #id(service: string): string {
    return `wherry-${this.#options.instance}-${service}`;
  }

  #open(name = this.#options.runtime): RuntimeProgram {
    return openRuntime(this.#runtimes, name, this.#options.runDir);
  }

  /** The runtime that made the container, whatever the configuration says by now. */
  #runtimeOf(service: string): RuntimeProgram {
    return this.#files.readRuntime(service) ?? this.#open();
  }

  #rootArgs(): string[] {
    return [`--root=${join(this.#options.runDir, 'oci')}`];
  }

  /** conmon ends by itself when the container has; one whose container never came to be is ended here. */
  async #awaitEnd(service: string, conmon: number): Promise<void> {
    const deadline = Date.now() + REMOVE_MS;
    for (let waits = 0; this.#files.conmonPid(service) === conmon && isThere(conmon); waits++) {
      if (waits === 50) process.kill(conmon, 'SIGKILL');
      if (Date.now() > deadline)
        throw new Error(`Cannot remove service "${service}": conmon ${conmon} does not end`);
      await pause(2);
    }
  }

  async #create(spec: ServiceSpec, place: Place | Promise<Place>, runtime: RuntimeProgram): Promise<number> {
    const { beforeStart, holdMonitor } = this.#options;
    const bundle = this.#files.bundle(spec.name);
    await mkdir(bundle, { recursive: true, mode: 0o700 });
    this.#files.writeRuntime(spec.name, runtime);
    beforeStart?.(spec);
    // It readies itself while the place is made, and calls the runtime when told to.
    const conmon = spawnConmon(this.#conmonArgs(spec.name, bundle, runtime), this.#options.runDir);
    try {
      await this.#configure(spec, await place, bundle);
    } catch (error) {
      abandon(conmon);
      throw error;
    }
    letBegin(conmon);
    const answer = await readSyncPipe(conmon);
    if (answer.pid <= 0) throw createError(spec.name, answer.message);
    const monitor = this.#files.conmonPid(spec.name);
    if (monitor !== undefined) await holdMonitor?.(spec.name, monitor);
    return answer.pid;
  }

  async #configure(spec: ServiceSpec, place: Place, bundle: string): Promise<void> {
    const { cgroupsPath, volumePath, hasSwapAccounting, placementOf } = this.#options;
    const placement: Placement = {
      ...place,
      cgroupsPath: cgroupsPath(spec.name),
      volumePath,
      hasSwapAccounting,
      ...(await placementOf?.(spec)),
    };
    const config = ociSpec(spec, placement);
    await writeFile(
      join(bundle, 'config.json'),
      JSON.stringify(spec.init === true ? withInit(config) : config),
    );
  }

  #conmonArgs(service: string, bundle: string, { program, args }: RuntimeProgram): string[] {
    const id = this.#id(service);
    const log = join(this.#options.logsDir, `${service}.log`);
    return [
      ['--api-version', '1'],
      ['-c', id, '-u', id, '-n', id],
      ['-r', program, ...[...args, ...this.#rootArgs()].map((arg) => `--runtime-arg=${arg}`)],
      ['-b', bundle, '-p', join(bundle, 'pid'), '--conmon-pidfile', join(bundle, 'conmon.pid')],
      ['-l', `k8s-file:${log}`, '--log-size-max', String(this.#options.logMaxBytes)],
      ['--exit-dir', this.#files.exits, '--socket-dir-path', this.#files.sockets, '--log-level', 'warning'],
      ['--no-sync-log'],
    ].flat();
  }
}

const isThere = (pid: number): boolean => identify(pid, '') !== undefined;
