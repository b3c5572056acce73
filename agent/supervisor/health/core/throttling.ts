import { THROTTLE_FLAGS, type ThrottleFlag } from '../../../../protocol/status.ts';

export interface Throttling {
  now: ThrottleFlag[];
  sinceBoot: ThrottleFlag[];
}

/**
 * The word of the Raspberry Pi's firmware, hexadecimal with or without "0x": bits 0 to 3 are now, 16 to 19 since boot,
 * in the order of THROTTLE_FLAGS (raspberrypi.com/documentation, vcgencmd get_throttled). Undefined when it is none.
 */
export function readThrottled(text: string): Throttling | undefined {
  const word = /^(0x)?[0-9a-f]{1,8}$/i.test(text.trim()) ? Number.parseInt(text, 16) : undefined;
  if (word === undefined) return undefined;
  const flags = (shift: number) => THROTTLE_FLAGS.filter((_, bit) => (word >>> (bit + shift)) & 1);
  return { now: flags(0), sinceBoot: flags(16) };
}

/** Everything that was seen or is now, each flag once, in the order of THROTTLE_FLAGS. */
export function uniteFlags(...parts: Iterable<ThrottleFlag>[]): ThrottleFlag[] {
  const all = new Set(parts.flatMap((part) => [...part]));
  return THROTTLE_FLAGS.filter((flag) => all.has(flag));
}
