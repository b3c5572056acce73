/** Human quantities of release.yaml and board.yaml. Each parser returns undefined for text it cannot read. */

const BYTE_UNITS: Record<string, number> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
const BIT_UNITS: Record<string, number> = { kbit: 1e3, Mbit: 1e6, Gbit: 1e9 };
const TIME_UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

export const BYTES_PATTERN = '^[0-9]+(?:\\.[0-9]+)?(?:B|KiB|MiB|GiB)$';
export const BIT_RATE_PATTERN = '^[0-9]+(?:\\.[0-9]+)?(?:kbit|Mbit|Gbit)$';
export const DURATION_PATTERN = '^[0-9]+(?:\\.[0-9]+)?(?:ms|s|m|h)$';

function parseWith(units: Record<string, number>, text: string): number | undefined {
  const match = /^([0-9]+(?:\.[0-9]+)?)([A-Za-z]+)$/.exec(text);
  const unit = match && units[match[2] ?? ''];
  return match && unit ? Math.round(Number(match[1]) * unit) : undefined;
}

/** "64MiB" → 67108864. */
export const parseBytes = (text: string): number | undefined => parseWith(BYTE_UNITS, text);
/** "10Mbit" → 10000000 (bits per second). */
export const parseBitRate = (text: string): number | undefined => parseWith(BIT_UNITS, text);
/** "10s" → 10000 (milliseconds). */
export const parseDurationMs = (text: string): number | undefined => parseWith(TIME_UNITS, text);

/** 67108864 → "64 MiB"; one decimal at most. */
export function formatBytes(bytes: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB'] as const) {
    const size = BYTE_UNITS[unit] ?? 1;
    if (bytes >= size) return `${(bytes / size).toFixed(1).replace(/\.0$/, '')} ${unit}`;
  }
  return `${bytes} B`;
}
