import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { replaceFile } from './state-file.ts';

const PLACES = ['/usr/lib/podman/aardvark-dns', '/usr/libexec/podman/aardvark-dns'];

const PID_FILE = 'aardvark.pid';
const READY_MS = 5000;

/** aardvark-dns on a folder of its own. It outlives the agent; the next agent finds it by its pid file. */
export class Aardvark {
  readonly #folder: string;
  readonly #environment: Record<string, string>;
  #last: number | undefined;

  constructor(folder: string, environment: Record<string, string>) {
    this.#folder = folder;
    this.#environment = environment;
  }

  /** Brings the files to these and makes the server read them. Nothing is read again when nothing changed. */
  async serve(files: Record<string, string>): Promise<void> {
    const names = Object.keys(files);
    if (names.length === 0) return this.stop();
    const changed = this.#write(files);
    const pid = this.#pid();
    if (pid === undefined) {
      await this.#start();
      return this.#ready();
    }
    if (changed) process.kill(pid, 'SIGHUP');
  }

  /** Whether it runs, if there is anything to serve. */
  isServing(): boolean {
    return this.#files().length === 0 || this.#pid() !== undefined;
  }

  /** Whether it has one of these segments, internal or not. */
  serves(names: readonly string[]): boolean {
    const wanted = new Set(names.map(segmentOf));
    return this.#files().some((file) => wanted.has(segmentOf(file)));
  }

  stop(): void {
    const pid = this.#pid();
    // It keeps nothing that it would have to write down.
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    this.#last = pid;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Whether the process that `stop` ended is gone. */
  hasEnded(): boolean {
    return this.#last === undefined || !isThere(this.#last, this.#folder);
  }

  #files(): string[] {
    if (!existsSync(this.#folder)) return [];
    return readdirSync(this.#folder).filter((name) => name !== PID_FILE && !name.endsWith('.new'));
  }

  #write(files: Record<string, string>): boolean {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const stale = this.#files().filter((name) => !(name in files));
    const changed = Object.entries(files).filter(([name, text]) => this.#read(name) !== text);
    for (const name of stale) rmSync(join(this.#folder, name));
    for (const [name, text] of changed) replaceFile(join(this.#folder, name), text);
    return stale.length + changed.length > 0;
  }

  /** The program forks; the parent ends once the server is under way. */
  #start(): Promise<void> {
    const program = PLACES.find((place) => existsSync(place));
    if (program === undefined) {
      const message = `Cannot start the name service: ${PLACES[0]} is not there; install the package aardvark-dns`;
      return Promise.reject(new Error(message));
    }
    rmSync(join(this.#folder, PID_FILE), { force: true });
    return new Promise((resolve, reject) => {
      const args = ['--config', this.#folder, '--port', '53', 'run'];
      const env = { ...process.env, ...this.#environment };
      const child = spawn(program, args, { detached: true, stdio: 'ignore', env });
      child.on('error', reject);
      child.on('exit', (code) =>
        code === 0
          ? resolve()
          : reject(new Error(`Cannot start the name service: ${program} ended with ${code}`)),
      );
    });
  }

  /** Until then a SIGHUP would end it. */
  async #ready(): Promise<void> {
    for (let waitedMs = 0; waitedMs < READY_MS; waitedMs += 5) {
      const pid = this.#pid();
      if (pid !== undefined && catchesHangUp(pid)) return;
      await pause(5);
    }
    throw new Error(`Cannot start the name service: it is not ready after ${READY_MS} ms; see its syslog`);
  }

  /** A pid alone may be another's by now: the command line must name our folder. */
  #pid(): number | undefined {
    const pid = Number(this.#read(PID_FILE));
    return Number.isInteger(pid) && pid > 0 && isThere(pid, this.#folder) ? pid : undefined;
  }

  #read(name: string): string | undefined {
    try {
      return readFileSync(join(this.#folder, name), 'utf8');
    } catch {
      return undefined;
    }
  }
}

const segmentOf = (file: string): string => file.replace(/%int$/, '');

/** A process that has ended, or another one, has no such command line. */
function isThere(pid: number, folder: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(folder);
  } catch {
    return false;
  }
}

/** Bit 0 of SigCgt is SIGHUP. */
function catchesHangUp(pid: number): boolean {
  try {
    const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return (Number.parseInt(mask?.slice(-1) ?? '0', 16) & 1) === 1;
  } catch {
    return false;
  }
}
