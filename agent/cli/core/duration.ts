const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** 11_460_000 → "3h 11m"; at most two units, whole seconds, never negative (a clock may have been set back). */
export function formatDuration(ms: number): string {
  const first = UNITS.findIndex(([, size]) => ms >= size);
  if (first < 0) return '0s';
  const parts = UNITS.slice(first, first + 2).map(([unit, size], index) => {
    const whole = index === 0 ? ms : ms % (UNITS[first]?.[1] ?? 1);
    return [Math.floor(whole / size), unit] as const;
  });
  return parts
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ');
}
