import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentClient } from '../../agent/cli/client.ts';
import type { AgentConfig } from '../../agent/config.ts';
import type { Identity } from '../../agent/enrolment/identity.ts';
import type { AgentStatus } from '../../agent/local-api/ports.ts';
import type { UpdatePhase } from '../../protocol/messages.ts';
import { loadBoards } from '../../release/boards.ts';
import { NODE, ROOT } from '../../scripts/setup.mjs';
import { wherry } from './cli.ts';
import type { TestFleet } from './fleet-server.ts';
import { tracesOf } from './machine.ts';
import { until } from './until.ts';

const ANSWER_MS = 10_000;

/** The built agent as a process of its own, over a folder, cgroups and mounts of its own. */
export class RealDevice {
  readonly dir: string;
  readonly id: string;
  /** Names its cgroups, links and tables. */
  readonly instance: string;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  private constructor(dir: string, id: string, instance: string) {
    this.dir = dir;
    this.id = id;
    this.instance = instance;
  }

  /** Configured to enrol with this fleet and to trust this root; not started. */
  static async create(fleet: TestFleet, id: string, rootText: string): Promise<RealDevice> {
    const dir = await mkdtemp(join(tmpdir(), 'wherry-device-'));
    const instance = `test-${randomBytes(4).toString('hex')}`;
    const board = (await loadBoards(join(ROOT, 'board-configs'))).find(
      ({ name }) => name === 'generic-amd64',
    );
    if (!board) throw new Error('Cannot find board generic-amd64');
    const trustRoot = join(dir, 'factory-root.json');
    writeFileSync(trustRoot, rootText);
    const made = await fleet.api('POST', '/enrolment-tokens', { uses: 1, expiresInSeconds: 600 });
    const config: AgentConfig = {
      name: id,
      board,
      stateDir: join(dir, 'state'),
      runDir: join(dir, 'run'),
      socket: join(dir, 'agent.sock'),
      trustRoot,
      join: made.body.joinString,
      runtime: 'crun',
      instance,
      onStop: 'stop-services',
      reboot: 'never',
      logLevel: 'info',
    };
    writeFileSync(join(dir, 'agent.json'), JSON.stringify(config));
    return new RealDevice(dir, id, instance);
  }

  get socket(): string {
    return join(this.dir, 'agent.sock');
  }

  get log(): string {
    return readFileSync(join(this.dir, 'agent.log'), 'utf8');
  }

  /** Resolves when the agent answers. The IPC channel ends it when this process dies. */
  async start([program, ...args]: string[] = [NODE, join(ROOT, 'dist/agent/main.js')]): Promise<void> {
    const log = openSync(join(this.dir, 'agent.log'), 'a');
    const child = spawn(program ?? NODE, [...args, '--config', join(this.dir, 'agent.json')], {
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    this.#child = child;
    this.#ended = new Promise((resolve) => child.once('close', () => resolve()));
    await until(
      async () =>
        child.exitCode !== null || (await this.status().catch(() => undefined))?.agent.pid === child.pid,
      { timeoutMs: 30_000, what: 'the agent to answer' },
    );
    if (child.exitCode !== null) throw new Error(`The agent ended with ${child.exitCode}:\n${this.log}`);
  }

  /** As a power cut or a crash ends it. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#ended;
    this.#child = undefined;
  }

  /** As a service manager ends it; what runs on is the configuration's word. One that has ended is not an error. */
  async stop(): Promise<void> {
    this.#child?.kill('SIGTERM');
    await this.#ended;
    this.#child = undefined;
  }

  /** Ends the agent and its services, of an agent that was killed too. Throws when anything of them is left. */
  async remove(): Promise<void> {
    if (!this.#child || this.#child.exitCode !== null || this.#child.signalCode !== null) await this.start();
    this.#child?.kill('SIGTERM');
    await this.#ended;
    const traces = Object.values(tracesOf(this.instance, this.dir)).flat();
    await rm(this.dir, { recursive: true, force: true });
    if (traces.length > 0) throw new Error(`The agent left behind:\n${traces.join('\n')}`);
  }

  /** Sends the device's MQTT sessions through another port, from the next start on. */
  connectVia(port: number): void {
    const file = join(this.dir, 'state/identity/identity.json');
    const identity = JSON.parse(readFileSync(file, 'utf8')) as Identity;
    writeFileSync(file, JSON.stringify({ ...identity, mqtt: { ...identity.mqtt, port } }));
  }

  status(): Promise<AgentStatus> {
    return agentClient(this.socket, AbortSignal.timeout(ANSWER_MS)).status();
  }

  async pids(): Promise<Record<string, number | undefined>> {
    return Object.fromEntries((await this.status()).services.map(({ name, pid }) => [name, pid]));
  }

  cli(...args: string[]): ReturnType<typeof wherry> {
    const WHERRY_CONFIG = join(this.dir, 'agent.json');
    return wherry(args, { WHERRY_SOCKET: this.socket, WHERRY_CONFIG });
  }

  async phase(wanted: UpdatePhase, timeoutMs = 20_000): Promise<AgentStatus> {
    let seen: AgentStatus | undefined;
    return until(
      async () => {
        seen = await this.status();
        return seen.update.phase === wanted && seen;
      },
      { timeoutMs, what: `phase ${wanted} of ${this.id}` },
    ).catch((error: Error) => {
      throw new Error(`${error.message}; it is ${JSON.stringify(seen?.update)}\n${this.log.slice(-2_000)}`);
    });
  }
}
