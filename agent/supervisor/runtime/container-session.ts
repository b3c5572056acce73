import { type ChildProcess, execFile } from 'node:child_process';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { ExecRequest, ExecSession } from '../session-port.ts';
import { runtimeFault } from './core/runtime-fault.ts';
import { isOver, livePid, newMark, pipesOf, sweep, terminalOf } from './execution-sweep.ts';
import { OutputQueue } from './output-queue.ts';
import { killProcessesNaming } from './processes-naming.ts';
import type { Execution } from './run-in-container.ts';
import { checkTerminalProgram, spawnSession } from './spawn-session.ts';

/** As shells say it: 128 + SIGKILL. */
const KILLED = 137;
/** How often is looked: until the program has begun and when it is to end, and while it runs. */
const LOOK_MS = { soon: 20, later: 250 };
/** For what is still in the pipes when all has ended. */
const DRAIN_MS = 100;
/** A runtime that has nothing inside any more and still does not end is killed after this many looks. */
const PATIENCE = 50;
/** Devices of this kind are terminals of /dev/pts: Documentation/admin-guide/devices.txt. */
const PTY_MAJORS = { first: 136, last: 143 };

export type SessionExecution = Omit<Execution, 'args'> & { service: string };

/** Begins a program in a container with pipes or a terminal; when it has ended nothing of it is left. */
export function openContainerSession(what: SessionExecution, request: ExecRequest): ExecSession {
  if (request.terminal) checkTerminalProgram();
  const mark = newMark();
  const { workingDir, environment = {}, terminal, argv } = request;
  const description = {
    ...what.process,
    terminal: terminal !== undefined,
    // Runtimes that heed it have the size there before the program asks; crun 1.8 sets it a moment later.
    ...(terminal && { consoleSize: { height: terminal.rows, width: terminal.columns } }),
    args: argv,
    env: [
      ...(what.process.env ?? []),
      ...(terminal ? [`TERM=${terminal.term}`] : []),
      ...Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      mark,
    ],
    ...(workingDir && { cwd: workingDir }),
  };
  writeFileSync(what.file, JSON.stringify(description), { mode: 0o600 });
  return new ContainerSession(what, request, mark);
}

class ContainerSession implements ExecSession {
  readonly output = new OutputQueue();
  readonly exitCode: Promise<number>;
  readonly #what: SessionExecution;
  readonly #program: string;
  readonly #mark: string;
  readonly #child: ChildProcess;
  readonly #hasTerminal: boolean;
  readonly #closing = new AbortController();
  readonly #ended = new AbortController();
  readonly #outputs = new Set<string>();
  /** Resolves when the program runs, or never will. */
  readonly #begun: Promise<void>;
  #letBegin: () => void = () => undefined;
  #terminal = 0;
  #pid: number | undefined;
  #size: { columns: number; rows: number } | undefined;
  #isResizing = false;

  constructor(what: SessionExecution, { argv, terminal }: ExecRequest, mark: string) {
    this.#what = what;
    this.#mark = mark;
    this.#program = argv[0] ?? '';
    this.#hasTerminal = terminal !== undefined;
    this.#size = terminal;
    this.#child = spawnSession(what, terminal);
    const { stdout, stderr, stdin } = this.#child;
    if (stdout) this.output.take('stdout', stdout);
    if (stderr) this.output.take('stderr', stderr);
    stdin?.on('error', () => undefined);
    this.#begun = new Promise((resolve) => {
      this.#letBegin = resolve;
    });
    this.exitCode = this.#run();
    // Who reads the output only is not told a second time by an unhandled rejection.
    this.exitCode.catch(() => undefined);
  }

  async write(data: Uint8Array): Promise<void> {
    const { stdin } = this.#child;
    // Keys that come before the runtime listens would be answered by a terminal that is not the program's.
    if (this.#hasTerminal) await this.#begun;
    return new Promise((resolve) => {
      if (!stdin?.writable) return resolve();
      stdin.once('close', resolve);
      stdin.write(data, () => {
        stdin.off('close', resolve);
        resolve();
      });
    });
  }

  endInput(): void {
    // A terminal has no end; its line discipline makes one of this character (termios VEOF).
    if (this.#hasTerminal) void this.write(Buffer.from('\u0004'));
    else this.#child.stdin?.end();
  }

  resize(columns: number, rows: number): void {
    if (!this.#hasTerminal) return;
    this.#size = { columns, rows };
    this.#applySize();
  }

  close(): void {
    this.#closing.abort();
  }

  async #run(): Promise<number> {
    const ended = new Promise<number>((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('exit', (code) => resolve(code ?? KILLED));
    }).finally(() => {
      this.#ended.abort();
      this.#letBegin();
    });
    const drained = new Promise<void>((resolve) => this.#child.once('close', () => resolve()));
    try {
      const [exitCode] = await Promise.all([ended, this.#guard()]);
      for (let looks = 0; looks < PATIENCE && this.#sweep(); looks++) await pause(LOOK_MS.soon);
      if (this.#closing.signal.aborted) return KILLED;
      await Promise.race([drained, pause(DRAIN_MS)]);
      return this.#faultCode() ?? exitCode;
    } finally {
      this.#child.stdout?.destroy();
      this.#child.stderr?.destroy();
      this.output.end();
      for (const path of sessionFiles(this.#what.file)) rmSync(path, { force: true });
    }
  }

  /** Looks until the runtime has ended: whether the program has begun, has ended, or is to be ended. */
  async #guard(): Promise<void> {
    const { signal } = this.#closing;
    const either = AbortSignal.any([signal, this.#ended.signal]);
    for (let sweeps = 0; !this.#ended.signal.aborted; ) {
      this.#noteBegin();
      if (signal.aborted || isOver(pidFile(this.#what.file))) {
        this.#sweep();
        sweeps += 1;
        if (sweeps % PATIENCE === 0) await this.#killRuntime();
      }
      const isCalm = this.#pid !== undefined && sweeps === 0;
      const woken = sweeps === 0 ? either : this.#ended.signal;
      await pause(isCalm ? LOOK_MS.later : LOOK_MS.soon, undefined, { signal: woken }).catch(() => undefined);
    }
  }

  #noteBegin(): void {
    if (this.#pid !== undefined) return;
    for (const pipe of this.#hasTerminal ? [] : pipesOf(this.#child.pid)) this.#outputs.add(pipe);
    this.#pid = livePid(pidFile(this.#what.file));
    if (this.#pid === undefined) return;
    this.#terminal = this.#hasTerminal ? terminalOf(this.#pid) : 0;
    this.output.release();
    this.#letBegin();
    this.#applySize();
  }

  #sweep(): boolean {
    const traces = { mark: this.#mark, outputs: this.#outputs, terminal: this.#terminal };
    return sweep(this.#what.pid, traces);
  }

  /** The one that is called by `script` too, which then ends by itself. */
  async #killRuntime(): Promise<void> {
    await killProcessesNaming(this.#what.file);
    this.#child.kill('SIGKILL');
  }

  /** Puts our words in the place of the runtime's when it could not begin. */
  #faultCode(): number | undefined {
    const fault = this.#pid === undefined ? runtimeFault(readLog(this.#what.file)) : undefined;
    if (fault === undefined) return undefined;
    const why = fault.exitCode === 127 ? 'its container has no such program' : fault.words;
    const line = `wherry: Cannot run "${this.#program}" in service "${this.#what.service}": ${why}`;
    this.output.replaceHeld('stderr', `${line}${this.#hasTerminal ? '\r' : ''}\n`);
    return fault.exitCode;
  }

  /** Only the program's own terminal: what it has there is its choice, so it must be one. */
  #applySize(): void {
    const size = this.#size;
    const pid = this.#pid;
    if (size === undefined || pid === undefined || this.#isResizing) return;
    const path = [0, 1, 2].map((fd) => `/proc/${pid}/fd/${fd}`).find(isPty);
    this.#size = undefined;
    if (path === undefined) return;
    this.#isResizing = true;
    execFile('stty', ['-F', path, 'cols', String(size.columns), 'rows', String(size.rows)], () => {
      this.#isResizing = false;
      this.#applySize();
    });
  }
}

const pidFile = (file: string): string => `${file}.pid`;
const logFile = (file: string): string => `${file}.log`;
export const sessionFiles = (file: string): string[] => [file, pidFile(file), logFile(file)];

function readLog(file: string): string {
  try {
    return readFileSync(logFile(file), 'utf8');
  } catch {
    return '';
  }
}

function isPty(path: string): boolean {
  const { rdev = 0 } = statSync(path, { throwIfNoEntry: false }) ?? {};
  const major = (rdev >> 8) & 0xfff;
  return major >= PTY_MAJORS.first && major <= PTY_MAJORS.last;
}
