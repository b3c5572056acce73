import type { Pressure } from '../../../protocol/status.ts';

/**
 * The ten-second means of a PSI file such as `memory.pressure` or /proc/pressure/io; undefined for any other text.
 * Kernels before 5.13 have no line "full" for the CPU: nothing is then known to be stalled wholly.
 */
export function parsePressure(text: string): Pressure | undefined {
  const some = mean(text, 'some');
  return some === undefined ? undefined : { some, full: mean(text, 'full') ?? 0 };
}

function mean(text: string, kind: 'some' | 'full'): number | undefined {
  const found = new RegExp(`^${kind} avg10=([0-9.]+)`, 'm').exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}
