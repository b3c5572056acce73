import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { Executed } from '../ports.ts';
import { identify } from './process-identity.ts';

export interface Execution {
  /** Program and arguments of the runtime up to its `exec`. */
  runtime: readonly string[];
  id: string;
  /** First process of the container, for its pid namespace. */
  pid: number;
  /** `process` of the container's config.json: user, rights and environment are the service's own. */
  process: { env?: string[] };
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
/** Every process of one execution inherits it. */
const MARK = 'WHERRY_EXEC';

/** Runs a program in a container to its end; when it has ended or the signal fired nothing of it is left. */
export async function runInContainer(what: Execution, signal: AbortSignal): Promise<Executed> {
  signal.throwIfAborted();
  const mark = `${MARK}=${randomUUID()}`;
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
  { runtime, id, pid, file }: Execution,
  mark: string,
  signal: AbortSignal,
): Promise<Executed> {
  const [program = '', ...args] = runtime;
  const child = spawn(program, [...args, 'exec', '--process', file, '--pid-file', pidFile(file), id], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
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
      sweep(pid, mark, outputs);
      sweeps += 1;
      if (sweeps === PATIENCE) child.kill('SIGKILL');
    }
  };
  const [exitCode] = await Promise.all([ended, guard()]);
  for (let sweeps = 0; sweeps < PATIENCE && sweep(pid, mark, outputs); sweeps++) await pause(SWEEP_MS);
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

/** Whether the program has begun and ended. */
function isOver(path: string): boolean {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    return pid > 0 && identify(pid, '') === undefined;
  } catch {
    return false;
  }
}

/**
 * Kills the processes of one execution in the container of `pid`; whether there were any. They are known by the mark
 * in their environment, by their parent, or by the pipes that they write to, which are this execution's alone.
 */
function sweep(pid: number, mark: string, outputs: ReadonlySet<string>): boolean {
  const namespace = linkOf(`/proc/${pid}/ns/pid`);
  if (namespace === undefined) return false;
  const ours = new Set<number>();
  // Ascending, so that mostly a parent comes before its children; what is missed is found by the next sweep.
  for (const other of pids()) {
    if (other === pid || linkOf(`/proc/${other}/ns/pid`) !== namespace) continue;
    const [state = 'Z', parent] = statOf(other);
    if (state === 'Z') continue;
    const isOurs =
      ours.has(Number(parent)) ||
      readProc(other, 'environ').includes(mark) ||
      [1, 2].some((fd) => outputs.has(linkOf(`/proc/${other}/fd/${fd}`) ?? ''));
    if (isOurs) ours.add(other);
  }
  for (const other of ours) {
    try {
      process.kill(other, 'SIGKILL');
    } catch {
      // It ended by itself meanwhile.
    }
  }
  return ours.size > 0;
}

/** Pipes and sockets that a process has open; none of one that has ended. */
function pipesOf(pid: number | undefined): string[] {
  try {
    const links = readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`) ?? '');
    return links.filter((link) => /^(pipe|socket):/.test(link));
  } catch {
    return [];
  }
}

const pids = (): number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0)
    .sort((a, b) => a - b);

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

/** State, parent and so on. */
function statOf(pid: number): string[] {
  const stat = readProc(pid, 'stat');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}
