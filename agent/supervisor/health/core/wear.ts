import type { DeviceHealth } from '../../../../protocol/status.ts';

/** What was written to a disk, over reboots. Time is counted in uptime: a board's clock may jump by years. */
export interface WearRecord {
  v: 1;
  bootId: string;
  /** The kernel's counter and the uptime at the last look. */
  counterBytes: number;
  uptimeMs: number;
  totalBytes: number;
  /** Oldest first, each of about a day of uptime. */
  spans: { ms: number; bytes: number }[];
}

export interface WearLook {
  bootId: string;
  counterBytes: number;
  uptimeMs: number;
}

const DAY_MS = 86_400_000;
const SPANS_KEPT = 14;
/** A pace taken over less is noise of the boot. */
const PACE_MIN_MS = 3_600_000;

/** The record after a look. Between the last look that was kept and a power cut writes go unseen: a lower bound. */
export function afterLook(record: WearRecord | undefined, look: WearLook): WearRecord {
  const isSameBoot = record?.bootId === look.bootId && look.counterBytes >= record.counterBytes;
  const bytes = look.counterBytes - (isSameBoot ? record.counterBytes : 0);
  const ms = Math.max(0, look.uptimeMs - (isSameBoot ? record.uptimeMs : 0));
  const totalBytes = (record?.totalBytes ?? 0) + bytes;
  return { v: 1, ...look, totalBytes, spans: withSpan(record?.spans ?? [], { ms, bytes }) };
}

function withSpan(
  spans: WearRecord['spans'],
  { ms, bytes }: WearRecord['spans'][number],
): WearRecord['spans'] {
  const last = spans.at(-1);
  if (last === undefined || last.ms >= DAY_MS) return [...spans, { ms, bytes }].slice(-SPANS_KEPT);
  return [...spans.slice(0, -1), { ms: last.ms + ms, bytes: last.bytes + bytes }];
}

/** Pace and forecast; `enduranceBytes` as the storage's maker says, `lifeUsedPercent` as the storage says itself. */
export function describeWear(
  { totalBytes, spans }: WearRecord,
  {
    enduranceBytes,
    lifeUsedPercent,
  }: { enduranceBytes: number | undefined; lifeUsedPercent: number | undefined },
): NonNullable<DeviceHealth['storage']> {
  const ms = spans.reduce((sum, span) => sum + span.ms, 0);
  const bytes = spans.reduce((sum, span) => sum + span.bytes, 0);
  const perDay = ms >= PACE_MIN_MS ? Math.round((bytes / ms) * DAY_MS) : undefined;
  const leftBytes =
    enduranceBytes === undefined
      ? undefined
      : lifeUsedPercent === undefined
        ? enduranceBytes - totalBytes
        : enduranceBytes * (1 - lifeUsedPercent / 100);
  const hasForecast = leftBytes !== undefined && perDay !== undefined && perDay > 0;
  return {
    writtenBytes: totalBytes,
    ...(perDay !== undefined && { writtenBytesPerDay: perDay }),
    ...(lifeUsedPercent !== undefined && { lifeUsedPercent }),
    ...(hasForecast && { daysLeft: Math.max(0, Math.floor(leftBytes / perDay)) }),
  };
}

/**
 * eMMC's DEVICE_LIFE_TIME_EST, two hexadecimal numbers in steps of 10 %: 1 = up to 10 % used, 11 = used up
 * (JEDEC JESD84-B51 §7.4.7). The worse one counts; undefined when the device does not tell.
 */
export function readLifeTime(text: string): number | undefined {
  const worst = Math.max(
    ...text
      .trim()
      .split(/\s+/)
      .map((word) => Number.parseInt(word, 16) || 0),
  );
  return worst < 1 || worst > 11 ? undefined : Math.min(100, worst * 10);
}
