/** One benchmark: peers side by side in one run. `metrics` holds plain numbers; ratios are named for their peer. */
export type Bench = () => Promise<{
  rows: Record<string, Record<string, string | number>>;
  metrics: Record<string, number>;
}>;

/** Median of an odd or even number of samples. */
export function median(samples: number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** Three significant digits: what such a measurement can carry. */
export const round = (value: number): number => Number(value.toPrecision(3));
