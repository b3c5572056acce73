import { type ChildProcess, spawn } from 'node:child_process';
import { ROOT } from '../../scripts/setup.mjs';
import { until } from './until.ts';

/** `npm start` as a person runs it: in a process group of its own, like a terminal's foreground job. */
export class Demo {
  readonly child: ChildProcess;
  readonly port: number;
  output = '';
  #exit: Promise<number | null>;

  constructor(port: number, dataDir: string, more: string[] = []) {
    this.port = port;
    const args = ['start', '--silent', '--', '--port', String(port), '--data', dataDir, ...more];
    this.child = spawn('npm', args, {
      cwd: ROOT,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (data) => (this.output += data));
    this.#exit = new Promise((resolve) => this.child.once('close', (code) => resolve(code)));
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Waits until the demo has printed what to do next. */
  async ready(timeoutMs = 400_000): Promise<void> {
    await until(() => this.output.includes('Try next:') || this.child.exitCode !== null, {
      timeoutMs,
      what: 'the demo to come up',
    });
    if (this.child.exitCode !== null)
      throw new Error(`The demo ended with ${this.child.exitCode}:\n${this.output}`);
  }

  get password(): string {
    return /admin \/ (\S+)/.exec(this.output)?.[1] ?? '';
  }

  get socket(): string {
    return /WHERRY_SOCKET=(\S+)/.exec(this.output)?.[1] ?? '';
  }

  /** Ctrl-C as a terminal sends it: to every process of the foreground group. */
  interrupt(): Promise<number | null> {
    process.kill(-(this.child.pid ?? 0), 'SIGINT');
    return this.#exit;
  }

  /** SIGTERM to npm alone, as an init system sends it. */
  terminate(): Promise<number | null> {
    this.child.kill('SIGTERM');
    return this.#exit;
  }
}
