/** Below this share of the budget the line would hug the floor, so the scale follows the line and not the budget. */
const NEAR_BUDGET = 0.4;

/** Top of a chart's scale. */
export function ceiling(values: readonly number[], budget: number): number {
  const peak = values.reduce((most, value) => Math.max(most, value), 0);
  if (peak >= budget * NEAR_BUDGET) return Math.max(peak, budget) * 1.08;
  return peak > 0 ? peak * 1.5 : budget;
}

export interface Summary {
  last: number;
  least: number;
  most: number;
}

/** Undefined when there is nothing to sum up. */
export function summary(values: readonly number[]): Summary | undefined {
  const last = values.at(-1);
  if (last === undefined) return undefined;
  return values.reduce(
    (sum, value) => ({ last, least: Math.min(sum.least, value), most: Math.max(sum.most, value) }),
    { last, least: last, most: last },
  );
}

/** At most `rows` indices, evenly spread, the last one always among them: the rows of the table fallback. */
export function sampleIndices(length: number, rows: number): number[] {
  if (length <= rows) return Array.from({ length }, (_, index) => index);
  return Array.from({ length: rows }, (_, index) => Math.round(((index + 1) * length) / rows) - 1);
}
