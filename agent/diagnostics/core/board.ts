import { formatBytes } from '../../../protocol/quantities.ts';
import type { ThrottleFlag } from '../../../protocol/status.ts';
import { type Finding, fail, ok, skipped, warn } from './finding.ts';

export interface MemoryFacts {
  totalBytes: number;
  availableBytes: number;
  /** PSI "full" of the last minute, percent; undefined where the kernel does not measure it. */
  pressurePercent: number | undefined;
  /** Processes that the kernel has killed for want of memory since the boot; undefined where it does not count. */
  kills: number | undefined;
}

const MiB = 1024 ** 2;
const LOWER =
  'see who has it with "wherry ps" and "ps -e --sort -rss -o rss,args", and lower a budget of the release';

export function judgeMemory({ totalBytes, availableBytes, pressurePercent, kills }: MemoryFacts): Finding {
  const found =
    `${formatBytes(availableBytes)} of ${formatBytes(totalBytes)} is available` +
    (kills ? `; the kernel has killed ${kills} processes for want of memory since the boot` : '');
  if (availableBytes < Math.max(16 * MiB, totalBytes * 0.02)) return fail(found, LOWER);
  if (pressurePercent !== undefined && pressurePercent >= 10)
    return warn(`${found}; all tasks waited for memory ${pressurePercent} % of the last minute`, LOWER);
  if (availableBytes < Math.max(48 * MiB, totalBytes * 0.08)) return warn(found, LOWER);
  return ok(found);
}

export interface Zone {
  name: string;
  celsius: number;
  /** At which the board shuts down, as its firmware says. */
  criticalCelsius?: number | undefined;
}

const HOT_CELSIUS = 80;
const COOL = 'give it air or a heat sink, move it out of the sun, or lower the cpu budgets of the release';

export function judgeTemperature(zones: readonly Zone[]): Finding {
  const hottest = zones.toSorted((a, b) => b.celsius - a.celsius)[0];
  if (hottest === undefined) return skipped('The board has no temperature that can be read');
  const { name, celsius, criticalCelsius } = hottest;
  const found = `${celsius.toFixed(1)} °C (${name})`;
  if (criticalCelsius !== undefined && celsius >= criticalCelsius - 5)
    return fail(`${found}: at ${criticalCelsius} °C the board switches itself off`, COOL);
  if (celsius >= HOT_CELSIUS) return warn(`${found}: boards slow down from about here on`, COOL);
  return ok(found);
}

const SUPPLY =
  'use the power supply made for the board and a short, thick cable; take USB devices off it or give them a hub with a ' +
  'supply of its own';

/** `throttling`: undefined where the board does not tell. */
export function judgePower(
  throttling: { now: ThrottleFlag[]; sinceBoot: ThrottleFlag[] } | undefined,
): Finding {
  if (throttling === undefined) return skipped('The board does not tell of its supply voltage');
  const { now, sinceBoot } = throttling;
  if (now.includes('under-voltage')) return fail('The supply voltage is too low at this moment', SUPPLY);
  if (sinceBoot.includes('under-voltage'))
    return warn('The supply voltage was too low at some time since the boot', SUPPLY);
  const slowed = now.filter((flag) => flag !== 'under-voltage');
  if (slowed.length > 0) return warn(`The board holds itself back: ${slowed.join(', ')}`, COOL);
  return ok('The supply voltage has been right since the boot');
}
