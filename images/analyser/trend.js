/** Slope of a straight line through equally spaced values, per step (least squares). Pure. */
export function trend(values) {
  const n = values.length;
  if (n < 2) return 0;
  const middle = (n - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const rise = values.reduce((sum, value, at) => sum + (at - middle) * (value - mean), 0);
  const run = values.reduce((sum, _, at) => sum + (at - middle) ** 2, 0);
  return Math.round((1000 * rise) / run) / 1000;
}
