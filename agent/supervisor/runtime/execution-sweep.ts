import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { identify } from './process-identity.ts';

/** How the processes of one execution in a container are told from all others there. */
export interface ExecutionTraces {
  /** In the environment of its first process, and inherited. */
  mark: string;
  /** Pipes and sockets that are this execution's alone. */
  outputs: ReadonlySet<string>;
  /** Its terminal, as /proc/<pid>/stat numbers it; 0 = none. */
  terminal?: number;
}

const MARK = 'WHERRY_EXEC';

export const newMark = (): string => `${MARK}=${randomUUID()}`;

/** The mark of an execution whose process description this is. */
export const markOf = ({ env = [] }: { env?: string[] }): string | undefined =>
  env.findLast((entry) => entry.startsWith(`${MARK}=`));

/** The pid of a program that has begun and goes on; undefined before and after. */
export function livePid(pidFile: string): number | undefined {
  const pid = readPid(pidFile);
  return pid > 0 && identify(pid, '') !== undefined ? pid : undefined;
}

/** Whether the program has begun and ended. */
export function isOver(pidFile: string): boolean {
  const pid = readPid(pidFile);
  return pid > 0 && identify(pid, '') === undefined;
}

function readPid(path: string): number {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return 0;
  }
}

/**
 * Kills the processes of one execution in the container of `pid`; whether there were any. They are known by the mark
 * in their environment, by their parent, by the pipes that they write to, or by their terminal.
 */
export function sweep(pid: number, { mark, outputs, terminal = 0 }: ExecutionTraces): boolean {
  const namespace = linkOf(`/proc/${pid}/ns/pid`);
  if (namespace === undefined) return false;
  const ours = new Set<number>();
  // Ascending, so that mostly a parent comes before its children; what is missed is found by the next sweep.
  for (const other of pids()) {
    if (other === pid || linkOf(`/proc/${other}/ns/pid`) !== namespace) continue;
    const { state, parent, terminal: its } = statOf(other);
    if (state === 'Z') continue;
    const isOurs =
      ours.has(parent) ||
      (terminal !== 0 && its === terminal) ||
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
export function pipesOf(pid: number | undefined): string[] {
  try {
    const links = readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`) ?? '');
    return links.filter((link) => /^(pipe|socket):/.test(link));
  } catch {
    return [];
  }
}

/** The controlling terminal of a process; 0 = none. */
export const terminalOf = (pid: number): number => statOf(pid).terminal;

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

/** Fields 3, 4 and 7 of /proc/<pid>/stat; the second, the command in brackets, may hold anything. */
function statOf(pid: number): { state: string; parent: number; terminal: number } {
  const stat = readProc(pid, 'stat');
  const [state = '', parent, , , terminal] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: state || 'Z', parent: Number(parent), terminal: Number(terminal ?? 0) };
}
