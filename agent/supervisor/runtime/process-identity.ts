import { readFileSync } from 'node:fs';

/** A process beyond doubt: a pid alone may be another's by now. */
export interface ProcessIdentity {
  pid: number;
  /** Field 22 of /proc/<pid>/stat: start time in clock ticks since boot. */
  startTicks: number;
  bootId: string;
}

export const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/** Identity of a live process; undefined when there is none or only its zombie is left. */
export function identify(pid: number, boot: string): ProcessIdentity | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field is the command in brackets and may itself hold brackets and spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X'
    ? undefined
    : { pid, startTicks: Number(fields[19]), bootId: boot };
}

/** Whether that very process still lives. */
export const isAlive = (known: ProcessIdentity, boot: string): boolean =>
  known.bootId === boot && identify(known.pid, boot)?.startTicks === known.startTicks;

/** Signals that very process; one that has ended is not an error. */
export function signalProcess(known: ProcessIdentity, boot: string, signal: NodeJS.Signals): void {
  if (!isAlive(known, boot)) return;
  try {
    process.kill(known.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
