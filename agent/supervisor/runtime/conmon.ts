import { spawn } from 'node:child_process';
import { mkdirSync, watch } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { ContainerRuntime, ObservedContainer } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { createError, readSyncPipe } from './conmon-sync.ts';
import { ContainerFiles } from './container-files.ts';
import { ociSpec } from './oci-spec.ts';
import { bootId, identify, signalProcess } from './process-identity.ts';
import { runProgram } from './run-program.ts';
import { findProgram, runtimeProgram } from './runtime-program.ts';

export interface ConmonOptions {
  runtime: 'crun' | 'runc';
  /** Tells this agent's containers from those of other agents on the machine. */
  instance: string;
  /** Volatile state: bundles, exit files, the runtime's own state. */
  runDir: string;
  /** Log files; they outlive the containers. */
  logsDir: string;
  logMaxBytes: number;
  cgroupsPath: (service: string) => string;
  volumePath: (volume: string) => string;
  hasSwapAccounting: boolean;
}

const REMOVE_MS = 10_000;

/**
 * An OCI runtime under conmon. conmon is the parent of the container, holds its output and its exit code, and is in
 * a session of its own: it outlives this process.
 */
export class ConmonRuntime implements ContainerRuntime {
  readonly #options: ConmonOptions;
  readonly #files: ContainerFiles;
  readonly #program: string;
  readonly #plainProgram: string;
  readonly #bootId = bootId();

  constructor(options: ConmonOptions) {
    this.#options = options;
    this.#files = new ContainerFiles(options.runDir, this.#bootId, (service) => this.#id(service));
    mkdirSync(options.logsDir, { recursive: true });
    this.#program = runtimeProgram(options.runtime, options.runDir);
    this.#plainProgram = findProgram(options.runtime);
  }

  async observe(): Promise<ObservedContainer[]> {
    return this.#files.services().map((service) => this.#files.observe(service));
  }

  async start(spec: ServiceSpec, rootfs: string, verify: () => Promise<void>): Promise<{ pid: number }> {
    const service = spec.name;
    const seen = this.#files.services().includes(service) ? this.#files.observe(service) : undefined;
    if (seen?.state === 'running' && seen.specDigest === spec.digest) return { pid: seen.pid };
    if (seen !== undefined) await this.remove(service);
    try {
      const pid = await this.#create(spec, rootfs);
      await verify();
      await runProgram(this.#plainProgram, [...this.#runtimeArgs(), 'start', this.#id(service)]);
      const identity = identify(pid, this.#bootId) ?? { pid, startTicks: 0, bootId: this.#bootId };
      this.#files.writeStart(service, { ...identity, specDigest: spec.digest, startedAt: Date.now() });
      return { pid };
    } catch (error) {
      await this.remove(service);
      throw error;
    }
  }

  async kill(service: string, signal: string): Promise<void> {
    const start = this.#files.readStart(service);
    if (start !== undefined) signalProcess(start, this.#bootId, signal as NodeJS.Signals);
  }

  async remove(service: string): Promise<void> {
    if (!this.#files.services().includes(service)) return;
    const conmon = this.#files.conmonPid(service);
    await runProgram(this.#program, [...this.#runtimeArgs(), 'delete', '--force', this.#id(service)]);
    // conmon ends by itself when the container has; one whose container never came to be is ended here.
    if (conmon !== undefined) {
      const deadline = Date.now() + REMOVE_MS;
      for (let waits = 0; this.#files.conmonPid(service) === conmon && isThere(conmon); waits++) {
        if (waits === 50) process.kill(conmon, 'SIGKILL');
        if (Date.now() > deadline)
          throw new Error(`Cannot remove service "${service}": conmon ${conmon} does not end`);
        await pause(2);
      }
    }
    this.#files.remove(service);
  }

  watch(onChange: () => void): () => void {
    const watcher = watch(this.#files.exits, { persistent: false }, () => onChange());
    return () => watcher.close();
  }

  #id(service: string): string {
    return `wherry-${this.#options.instance}-${service}`;
  }

  #runtimeArgs(): string[] {
    return [`--root=${join(this.#options.runDir, 'oci')}`];
  }

  async #create(spec: ServiceSpec, rootfs: string): Promise<number> {
    const { cgroupsPath, volumePath, hasSwapAccounting } = this.#options;
    const bundle = this.#files.bundle(spec.name);
    await mkdir(bundle, { recursive: true, mode: 0o700 });
    const config = ociSpec(spec, {
      rootfs,
      cgroupsPath: cgroupsPath(spec.name),
      volumePath,
      hasSwapAccounting,
    });
    await writeFile(join(bundle, 'config.json'), JSON.stringify(config));
    const args = this.#conmonArgs(spec.name, bundle);
    const conmon = spawn('conmon', args, {
      detached: true,
      cwd: this.#options.runDir,
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      env: { PATH: process.env['PATH'], _OCI_SYNCPIPE: '3' },
    });
    const answer = await readSyncPipe(conmon);
    if (answer.pid > 0) return answer.pid;
    throw createError(spec.name, answer.message);
  }

  #logPath(service: string): string {
    return join(this.#options.logsDir, `${service}.log`);
  }

  #conmonArgs(service: string, bundle: string): string[] {
    const id = this.#id(service);
    return [
      ['--api-version', '1'],
      ['-c', id, '-u', id, '-n', id],
      ['-r', this.#program, ...this.#runtimeArgs().map((arg) => `--runtime-arg=${arg}`)],
      ['-b', bundle, '-p', join(bundle, 'pid'), '--conmon-pidfile', join(bundle, 'conmon.pid')],
      ['-l', `k8s-file:${this.#logPath(service)}`, '--log-size-max', String(this.#options.logMaxBytes)],
      ['--exit-dir', this.#files.exits, '--socket-dir-path', this.#files.sockets, '--log-level', 'warning'],
      ['--no-sync-log'],
    ].flat();
  }
}

const isThere = (pid: number): boolean => identify(pid, '') !== undefined;
