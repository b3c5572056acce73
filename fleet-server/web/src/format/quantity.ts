const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** Three figures at most: 812 KiB, 1.5 GiB, 64 MiB. */
export function bytes(count: number): string {
  let value = Math.max(0, count);
  let unit = 0;
  // 999.5 would be written 1000
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${figures(value, unit === 0)} ${UNITS[unit]}`;
}

function figures(value: number, isWhole: boolean): string {
  if (isWhole || value >= 99.95) return String(Math.round(value));
  if (value >= 9.95) return trimZeros(value.toFixed(1));
  return trimZeros(value.toFixed(2));
}

function trimZeros(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

export function cores(count: number): string {
  return trimZeros(count.toFixed(count < 0.1 && count > 0 ? 3 : 2));
}

/** Never 100 % before all is there, never 0 % once something is. */
export function percent(part: number, whole: number): number {
  if (whole <= 0) return 0;
  const exact = (part / whole) * 100;
  if (exact >= 100) return 100;
  if (exact > 0 && exact < 1) return 1;
  return Math.floor(exact);
}

export function count(number: number, singular: string, plural = `${singular}s`): string {
  return `${number} ${number === 1 ? singular : plural}`;
}

const GROUPED = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const SHORT = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 4 });

/** Counts that go up for ever: 9,120 and then 1.284M; a B would be taken for bytes. */
export function tally(number: number): string {
  return number < 1e6 ? GROUPED.format(number) : SHORT.format(number).replace('B', 'bn');
}

export function shortDigest(hex: string): string {
  return hex.slice(0, 12);
}
