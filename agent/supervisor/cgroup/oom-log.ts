import { closeSync, constants, openSync, readSync } from 'node:fs';

/** A process that the kernel killed for want of memory. */
export interface OomKill {
  /** The first 15 bytes of its name. */
  task: string;
  pid: number;
  /** Path of its memory cgroup below the hierarchy's root, as CgroupTree.pathOf gives it. */
  cgroup: string;
  /** Unix time in milliseconds, as near as the clock of the kernel's log allows. */
  at: number;
}

/** Longest record of /dev/kmsg: a line of the kernel with its fields (Documentation/ABI/testing/dev-kmsg). */
const RECORD_BYTES = 8192;
/** Facility 0 is the kernel; what user space writes into the log has another. */
const LEVELS = 8;
const KILL = /^oom-kill:.*,task_memcg=([^,]*),task=(.*),pid=(\d+),uid=\d+/;

/** Microseconds on the clock of the kernel's log. It is not steered by NTP: it may be off by a second in a week. */
export const kernelLogUsec = (): number => Number(process.hrtime.bigint() / 1000n);

/** OOM kills since then, oldest first; none when the log cannot be read. The log is a ring: old ones go away. */
export function readOomKills(sinceUsec: number): OomKill[] {
  const bootedAt = Date.now() - kernelLogUsec() / 1000;
  return kernelLog().flatMap((record) => oomKillOf(record, sinceUsec, bootedAt) ?? []);
}

/** The kill that a record of /dev/kmsg tells of. `bootedAt`: Unix ms at which the clock of the log was 0. */
export function oomKillOf(record: string, sinceUsec: number, bootedAt: number): OomKill | undefined {
  const start = record.indexOf(';');
  const [priority, , usec] = record.slice(0, start).split(',').map(Number);
  if (priority === undefined || usec === undefined || priority >= LEVELS || usec < sinceUsec)
    return undefined;
  const [, cgroup, task, pid] = KILL.exec(record.slice(start + 1)) ?? [];
  if (cgroup === undefined || task === undefined) return undefined;
  return { task, pid: Number(pid), cgroup, at: Math.round(bootedAt + usec / 1000) };
}

function kernelLog(): string[] {
  let log: number;
  try {
    log = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return [];
  }
  try {
    const records: string[] = [];
    for (let record = readRecord(log); record !== undefined; record = readRecord(log)) records.push(record);
    return records;
  } finally {
    closeSync(log);
  }
}

/** Each read gives one record; undefined after the last. */
function readRecord(log: number): string | undefined {
  const buffer = Buffer.alloc(RECORD_BYTES);
  try {
    return buffer.toString('utf8', 0, readSync(log, buffer));
  } catch (error) {
    // EPIPE: the ring has overtaken us; the next read goes on with the oldest record there is.
    return (error as NodeJS.ErrnoException).code === 'EPIPE' ? '' : undefined;
  }
}
