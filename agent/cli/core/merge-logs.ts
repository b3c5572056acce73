/** A line and the service that wrote it. */
export interface ServiceLine {
  service: string;
  at: number;
  stream: 'stdout' | 'stderr';
  text: string;
}

/** By time; lines of one service stay in their order, also where its clock went back. */
export function mergeByTime(logs: readonly ServiceLine[][]): ServiceLine[] {
  const merged: ServiceLine[] = [];
  const next = logs.map(() => 0);
  for (;;) {
    let oldest = -1;
    for (const [index, log] of logs.entries()) {
      const line = log[next[index] ?? 0];
      const best = oldest < 0 ? undefined : logs[oldest]?.[next[oldest] ?? 0];
      if (line && (best === undefined || line.at < best.at)) oldest = index;
    }
    const line = logs[oldest]?.[next[oldest] ?? 0];
    if (line === undefined) return merged;
    merged.push(line);
    next[oldest] = (next[oldest] ?? 0) + 1;
  }
}
