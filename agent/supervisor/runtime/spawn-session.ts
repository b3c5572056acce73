import { type ChildProcess, spawn } from 'node:child_process';
import type { ExecRequest } from '../session-port.ts';
import { isExecutable } from './runtime-program.ts';
import { SHELL, scored } from './scored.ts';

const SCRIPT = '/usr/bin/script';

interface Spawned {
  runtime: readonly string[];
  id: string;
  process: { oomScoreAdj?: number };
  /** The process description; beside it the runtime leaves the pid, and why it could not begin. */
  file: string;
}

/**
 * Starts the runtime's exec. Node cannot make a terminal, nor be handed the container's: `script` holds one, in which the
 * runtime runs and passes on to the container's own (docs/adr/0024).
 */
export function spawnSession(
  { runtime, id, file, process: { oomScoreAdj = 0 } }: Spawned,
  terminal: ExecRequest['terminal'],
): ChildProcess {
  const exec = [`--log=${file}.log`, 'exec', '--process', file, '--pid-file', `${file}.pid`, id];
  const args = scored(oomScoreAdj, [...runtime, ...exec]);
  if (terminal === undefined) return spawn(SHELL, args, { stdio: 'pipe' });
  const { columns, rows } = terminal;
  const line = `stty raw -echo cols ${columns} rows ${rows}; exec ${[SHELL, ...args].map(quoted).join(' ')}`;
  return spawn(SCRIPT, ['--quiet', '--return', '--flush', '--command', line, '/dev/null'], {
    stdio: 'pipe',
    env: { ...globalThis.process.env, SHELL },
  });
}

/** Throws when this device cannot make a terminal. */
export function checkTerminalProgram(): void {
  if (!isExecutable(SCRIPT))
    throw new Error('Cannot open a terminal: script is not installed; install the package "bsdutils"');
}

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
