/** Pure readers of the kernel's text files. */

/** /proc/stat, first line: busy and total jiffies since boot. */
export function cpuTimes(stat) {
  const times = stat.split('\n')[0].trim().split(/\s+/).slice(1, 9).map(Number);
  const total = times.reduce((sum, time) => sum + time, 0);
  // idle and iowait are the 4th and 5th: proc(5)
  return { total, busy: total - times[3] - times[4] };
}

/** Busy share between two readings, 0 to 100. */
export function cpuPercent(before, after) {
  const total = after.total - before.total;
  return total > 0 ? Math.round((1000 * (after.busy - before.busy)) / total) / 10 : 0;
}

/** /proc/meminfo: MiB in use, of all. */
export function memory(meminfo) {
  const kib = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(meminfo)?.[1] ?? 0);
  const total = kib('MemTotal');
  return { usedMiB: Math.round((total - kib('MemAvailable')) / 1024), totalMiB: Math.round(total / 1024) };
}
