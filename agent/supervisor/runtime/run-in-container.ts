import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { Executed } from '../ports.ts';
import { isOver, newMark, pipesOf, sweep } from './execution-sweep.ts';
import { SHELL, scored } from './scored.ts';

export interface Execution {
  /** Program and arguments of the runtime up to its `exec`. */
  runtime: readonly string[];
  id: string;
  /** First process of the container, for its pid namespace. */
  pid: number;
  /** `process` of the container's config.json: user, rights and environment are the service's own. */
  process: { env?: string[]; oomScoreAdj?: number };
  args: readonly string[];
  /** Where the process description may be put; removed again. */
  file: string;
}

const OUTPUT_BYTES = 4096;
/** As shells say it: 128 + SIGKILL. */
const KILLED = 137;
const SWEEP_MS = 20;
/** For what is still in the pipes when all has ended; one that left the session and its environment may hold them. */
const DRAIN_MS = 100;
/** A runtime that has nothing inside any more and still does not end is killed after this many sweeps. */
const PATIENCE = 50;

/** Runs a program in a container to its end; when it has ended or the signal fired nothing of it is left. */
export async function runInContainer(what: Execution, signal: AbortSignal): Promise<Executed> {
  signal.throwIfAborted();
  const mark = newMark();
  const description = {
    ...what.process,
    terminal: false,
    args: what.args,
    env: [...(what.process.env ?? []), mark],
  };
  writeFileSync(what.file, JSON.stringify(description), { mode: 0o600 });
  try {
    return await run(what, mark, signal);
  } finally {
    rmSync(what.file, { force: true });
    rmSync(pidFile(what.file), { force: true });
  }
}

const pidFile = (file: string): string => `${file}.pid`;

async function run(
  { runtime, id, pid, process: { oomScoreAdj = 0 }, file }: Execution,
  mark: string,
  signal: AbortSignal,
): Promise<Executed> {
  const program = [...runtime, 'exec', '--process', file, '--pid-file', pidFile(file), id];
  const child = spawn(SHELL, scored(oomScoreAdj, program), { stdio: ['ignore', 'pipe', 'pipe'] });
  const output = collect(child);
  const state = { hasEnded: false };
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? KILLED));
  }).finally(() => {
    state.hasEnded = true;
  });
  const drained = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  const outputs = new Set<string>();
  const guard = async (): Promise<void> => {
    for (let sweeps = 0; !state.hasEnded; await pause(SWEEP_MS)) {
      for (const pipe of pipesOf(child.pid)) outputs.add(pipe);
      // runc itself does not end while something in the background holds its pipes.
      if (!signal.aborted && !isOver(pidFile(file))) continue;
      sweep(pid, { mark, outputs });
      sweeps += 1;
      if (sweeps === PATIENCE) child.kill('SIGKILL');
    }
  };
  const [exitCode] = await Promise.all([ended, guard()]);
  for (let sweeps = 0; sweeps < PATIENCE && sweep(pid, { mark, outputs }); sweeps++) await pause(SWEEP_MS);
  await Promise.race([drained, pause(DRAIN_MS)]);
  child.stdout.destroy();
  child.stderr.destroy();
  // A runtime that was still setting up says so with a code of its own.
  return { exitCode: signal.aborted ? KILLED : exitCode, output: output() };
}

/** Keeps the first bytes of both streams and lets the rest go by. */
function collect(child: { stdout: Readable; stderr: Readable }): () => string {
  const pieces: Buffer[] = [];
  let seen = 0;
  const keep = (data: Buffer): void => {
    if (seen < OUTPUT_BYTES) pieces.push(data.subarray(0, OUTPUT_BYTES - seen));
    seen += data.length;
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return () => Buffer.concat(pieces).toString('utf8');
}
