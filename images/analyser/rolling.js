/** Mean, largest and latest value of a window, and whether the latest lies far outside of it. Pure. */
export function summarise(values, threshold = 3) {
  if (values.length === 0) return { count: 0, mean: 0, max: 0, latest: 0, zScore: 0, isAnomaly: false };
  const latest = values.at(-1);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  const deviation = Math.sqrt(variance);
  // A flat window has no spread to measure against: nothing in it is far out.
  const zScore = deviation > 0 ? (latest - mean) / deviation : 0;
  return {
    count: values.length,
    mean: round(mean),
    max: Math.max(...values),
    latest,
    zScore: round(zScore),
    isAnomaly: Math.abs(zScore) > threshold,
  };
}

const round = (value) => Math.round(value * 100) / 100;
