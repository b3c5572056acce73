import type { Timestamp } from '../core/layer-node.ts';

/** The 512 bytes before an entry: ustar, GNU and star (POSIX.1-2017 "ustar Interchange Format", GNU tar "Basic Tar Format"). */
export const BLOCK = 512;

export interface TarHeader {
  flag: string;
  path: string;
  linkPath: string;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtime: Timestamp;
  device: { major: number; minor: number };
}

/** Throws RangeError when a number is none. */
export function parseHeader(block: Buffer): TarHeader {
  const hasDevice = block.toString('latin1', 257, 262) === 'ustar';
  return {
    flag: String.fromCharCode(block[156] ?? 0),
    path: headerPath(block),
    linkPath: text(block, 157, 100),
    mode: octalAt(block, 100, 8) & 0o7777,
    uid: octalAt(block, 108, 8),
    gid: octalAt(block, 116, 8),
    size: octalAt(block, 124, 12),
    mtime: { seconds: numberAt(block, 136, 12), nanoseconds: 0 },
    device: hasDevice
      ? { major: octalAt(block, 329, 8), minor: octalAt(block, 337, 8) }
      : { major: 0, minor: 0 },
  };
}

export function checksumHolds(block: Buffer): boolean {
  let sum = 8 * 32;
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += block[at] ?? 0;
  return text(block, 148, 8).trim() === '' ? false : sum === Number.parseInt(text(block, 148, 8), 8);
}

/** Octal text, or two's complement in base 256 where the first bit is set. */
function numberAt(block: Buffer, at: number, length: number): bigint {
  const first = block[at] ?? 0;
  if (first & 0x80) {
    const digits = BigInt(`0x${block.toString('hex', at, at + length)}`);
    const value = digits & ((1n << BigInt(8 * length - 1)) - 1n);
    return first & 0x40 ? value - (1n << BigInt(8 * length - 1)) : value;
  }
  const digits = text(block, at, length).trim();
  if (!/^-?[0-7]*$/.test(digits)) throw new RangeError(`"${digits}" is no octal number`);
  return digits.startsWith('-') ? -BigInt(`0o${digits.slice(1) || '0'}`) : BigInt(`0o${digits || '0'}`);
}

/** A size, an id or a device number. */
export function octalAt(block: Buffer, at: number, length: number): number {
  return wholeNumber(numberAt(block, at, length));
}

/** Throws RangeError for what no size, owner or device can be. */
export function wholeNumber(value: bigint): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError(`${value} is out of range`);
  return Number(value);
}

function headerPath(block: Buffer): string {
  const isUstar = block.toString('latin1', 257, 263) === 'ustar\0';
  // star keeps times in the last 24 bytes of the prefix, and says so at the end.
  const isStar = block.toString('latin1', 508, 512) === 'tar\0';
  const prefix = isUstar ? text(block, 345, isStar ? 131 : 155) : '';
  return prefix ? `${prefix}/${text(block, 0, 100)}` : text(block, 0, 100);
}

const text = (block: Buffer, at: number, length: number): string =>
  untilNul(block.toString('latin1', at, at + length));
export const untilNul = (data: string): string =>
  data.includes('\0') ? data.slice(0, data.indexOf('\0')) : data;
export const padded = (bytes: number): number => Math.ceil(bytes / BLOCK) * BLOCK;

/** "-1.25" → -2 s and 750000000 ns. What is finer than a nanosecond is left out. Undefined for no time. */
export function parseTime(value: string): Timestamp | undefined {
  const match = /^(-?)([0-9]{1,18})(?:\.([0-9]*))?$/.exec(value);
  if (!match) return undefined;
  const [, sign, whole = '', decimals = ''] = match;
  const nanoseconds = Number(decimals.slice(0, 9).padEnd(9, '0'));
  if (!sign) return { seconds: BigInt(whole), nanoseconds };
  return nanoseconds === 0
    ? { seconds: -BigInt(whole), nanoseconds }
    : { seconds: -BigInt(whole) - 1n, nanoseconds: 1_000_000_000 - nanoseconds };
}
