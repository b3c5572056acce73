import type { DeviceHealth } from '../../../../protocol/status.ts';

export type ClockState = NonNullable<DeviceHealth['clock']>['state'];

/** What one source says of the clock; undefined when it is not there or cannot be read. */
export type ClockWord = 'synchronised' | 'unsynchronised' | undefined;

/** adjtimex(2): the clock is not held to any other. */
const STA_UNSYNC = 0x40;

/** "<return value> <status>" of adjtimex(2); a negative return value is an error. */
export function readTimex(text: string): ClockWord {
  const [, returned, status] = /^(-?\d+) (\d+)\s*$/.exec(text) ?? [];
  if (returned === undefined || Number(returned) < 0) return undefined;
  return Number(status) & STA_UNSYNC ? 'unsynchronised' : 'synchronised';
}

/** `chronyc -c tracking`: the third of its fourteen fields is the stratum, the last the leap status. */
export function readChrony(text: string): ClockWord {
  const fields = text.trim().split(',');
  if (fields.length !== 14) return undefined;
  const isHeld = fields[2] !== '0' && fields[13] !== 'Not synchronised';
  return isHeld ? 'synchronised' : 'unsynchronised';
}

/** `ntpq -c "rv 0 leap"`: both bits of the leap indicator set = not synchronised (RFC 5905 §7.3). */
export function readNtp(text: string): ClockWord {
  const leap = /\bleap=([01]{2})\b/.exec(text)?.[1];
  if (leap === undefined) return undefined;
  return leap === '11' ? 'unsynchronised' : 'synchronised';
}

/**
 * One that holds the clock is enough: each daemon knows of itself only, and chronyd tells the kernel nothing unless it
 * is set to.
 */
export function clockState(words: readonly ClockWord[]): ClockState {
  if (words.includes('synchronised')) return 'synchronised';
  return words.includes('unsynchronised') ? 'unsynchronised' : 'unknown';
}
