// Compiles C programs of test/ipc-c with the channel library, as its tests need them, and runs them.
import { type ExecFileException, execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ipcSources } from '../../ipc/build.ts';
import { ROOT } from '../../scripts/setup.mjs';

const run = promisify(execFile);
export const IPC_TESTS = join(ROOT, 'test/ipc-c');
const STRICT = ['-std=c11', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-g', '-pthread'];

/** What a run printed and how it ended. */
export interface Ended {
  code: number | string;
  stdout: string;
  stderr: string;
}

/** Scratch folders of one test file: one on disk for programs, one in memory for channels. */
export class IpcBench {
  readonly programs = mkdtempSync(join(tmpdir(), 'wherry-ipc-'));
  readonly #memory: string[] = [];

  /** An empty folder for channels. */
  channels(): string {
    const folder = mkdtempSync('/dev/shm/wherry-ipc-');
    this.#memory.push(folder);
    return folder;
  }

  /** The library's C files with one line changed: what a test must find. */
  spoilt(file: string, from: string, to: string): string[] {
    const folder = mkdtempSync(join(this.programs, 'spoilt-'));
    cpSync(join(ROOT, 'ipc/c'), folder, { recursive: true });
    const source = readFileSync(join(folder, file), 'utf8');
    if (!source.includes(from)) throw new Error(`Cannot spoil ${file}: there is no "${from}"`);
    writeFileSync(join(folder, file), source.replace(from, to));
    return cFilesIn(folder);
  }

  remove(): void {
    for (const folder of [this.programs, ...this.#memory]) rmSync(folder, { recursive: true, force: true });
  }

  /** Compiles the program of a folder of test/ipc-c; gives its path. */
  async compile(options: {
    name: string;
    /** Files or folders of test/ipc-c. */
    sources: string[];
    /** C files of the library or an archive; the sources as they are if not given. */
    library?: string[];
    flags?: string[];
    compiler?: string;
  }): Promise<string> {
    const program = join(this.programs, options.name);
    const sources = options.sources.flatMap((source) =>
      source.endsWith('.c') ? [join(IPC_TESTS, source)] : cFilesIn(join(IPC_TESTS, source)),
    );
    const library = options.library ?? ipcSources();
    const flags = [...STRICT, ...(options.flags ?? ['-O1'])];
    await run(options.compiler ?? 'gcc', [...flags, ...sources, ...library, '-o', program]);
    return program;
  }
}

export const cFilesIn = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.c'))
    .map((name) => join(folder, name));

/** Runs to the end, however it ends; killed after `timeoutMs`. */
export async function outcome(
  command: string[],
  options: { env?: NodeJS.ProcessEnv; timeoutMs?: number; cwd?: string } = {},
): Promise<Ended> {
  const [program = '', ...args] = command;
  try {
    const { stdout, stderr } = await run(program, args, {
      env: { ...process.env, ...options.env },
      timeout: options.timeoutMs ?? 120_000,
      killSignal: 'SIGKILL',
      maxBuffer: 64 * 1024 ** 2,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, signal, stdout, stderr } = error as ExecFileException & Ended;
    return { code: signal ?? code ?? 'unknown', stdout, stderr };
  }
}
