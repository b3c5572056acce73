import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { ROOT, SetupError } from '../scripts/setup.mjs';

/**
 * A long-running part of the demo. It has its own session, so that Ctrl-C on the terminal reaches only the demo,
 * which stops the parts in order; and an IPC channel, whose closing tells it that the demo has died.
 */
export class Part {
  readonly name: string;
  readonly logFile: string;
  readonly #program: string;
  readonly #args: string[];
  #child: ChildProcess;
  #ended: Promise<void>;

  constructor(name: string, [program, ...args]: [string, ...string[]], logFile: string) {
    this.name = name;
    this.logFile = logFile;
    this.#program = program;
    this.#args = args;
    [this.#child, this.#ended] = this.#spawn();
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Resolves when the process that runs now has ended, however it did. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** As an init system would: after a pause, the same again. */
  restart(): void {
    [this.#child, this.#ended] = this.#spawn();
  }

  /** SIGTERM, then SIGKILL when the grace is over. */
  async stop(graceMs: number): Promise<void> {
    if (this.hasEnded) return;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs);
    await this.#ended;
    clearTimeout(timer);
  }

  /** Polls until the part answers; a part that ends first is an error that shows its last words. */
  async untilReady<T>(what: string, timeoutMs: number, probe: () => Promise<T | undefined>): Promise<T> {
    const deadline = Date.now() + timeoutMs;
    while (!this.hasEnded) {
      const value = await probe().catch(notYet);
      if (value !== undefined) return value;
      if (Date.now() > deadline) throw this.#failure(`${what} did not happen within ${timeoutMs / 1000} s`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw this.#failure('it ended');
  }

  #failure(what: string): Error {
    const words = readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-12).join('\n');
    return new SetupError(`Cannot run the ${this.name}: ${what}; the end of ${this.logFile} says\n${words}`);
  }

  #spawn(): [ChildProcess, Promise<void>] {
    const log = openSync(this.logFile, 'a');
    const child = spawn(this.#program, this.#args, {
      cwd: ROOT,
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    return [child, new Promise((resolve) => child.once('close', () => resolve()))];
  }
}

/** A server that does not listen yet is not an error; everything else is. */
function notYet(error: unknown): undefined {
  if (error instanceof TypeError && error.message === 'fetch failed') return undefined;
  throw error;
}
