import type { Budget } from '../ports.ts';

type Io = NonNullable<Budget['io']>;
export type IoRate = Exclude<keyof Io, 'weight'>;

/** What the kernel takes for "no limit" is `max` in io.max and 0 in blkio.throttle.*. */
export const IO_RATES: readonly { field: IoRate; v1: string; v2: string }[] = [
  { field: 'readBps', v1: 'blkio.throttle.read_bps_device', v2: 'rbps' },
  { field: 'writeBps', v1: 'blkio.throttle.write_bps_device', v2: 'wbps' },
  { field: 'readIops', v1: 'blkio.throttle.read_iops_device', v2: 'riops' },
  { field: 'writeIops', v1: 'blkio.throttle.write_iops_device', v2: 'wiops' },
];

export const DEFAULT_WEIGHT = 100;
/** bfq's weights end at 1000, those of cgroup v2 at 10000; both have 100 for the default. */
const BFQ_TOP = 1000;
const TOP = 10_000;

export const toBfqWeight = (weight: number): number =>
  weight <= DEFAULT_WEIGHT
    ? weight
    : Math.round(
        DEFAULT_WEIGHT + ((weight - DEFAULT_WEIGHT) * (BFQ_TOP - DEFAULT_WEIGHT)) / (TOP - DEFAULT_WEIGHT),
      );

/** Inverse of toBfqWeight, up to what it rounds away. */
export const fromBfqWeight = (weight: number): number =>
  weight <= DEFAULT_WEIGHT
    ? weight
    : DEFAULT_WEIGHT + ((weight - DEFAULT_WEIGHT) * (TOP - DEFAULT_WEIGHT)) / (BFQ_TOP - DEFAULT_WEIGHT);

/** Line of io.max for a device: every rate, so that one no longer asked for goes away. */
export const ioMaxLine = (device: string, io: Io | undefined): string =>
  `${device} ${IO_RATES.map(({ field, v2 }) => `${v2}=${io?.[field] ?? 'max'}`).join(' ')}`;

/** The rates in the part of an io.max line that follows its device. */
export function parseIoMax(text: string): Io {
  const io: Io = {};
  for (const { field, v2 } of IO_RATES) {
    const value = new RegExp(`(?:^| )${v2}=([0-9]+)`).exec(text)?.[1];
    if (value !== undefined) io[field] = Number(value);
  }
  return io;
}

/** Undefined when nothing is limited: then the kernel holds what a budget without `io` asks for. */
export const ioOrNone = (io: Io): Io | undefined => (Object.keys(io).length === 0 ? undefined : io);
