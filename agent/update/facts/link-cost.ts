import { readFileSync } from 'node:fs';
import type { SwitchFacts } from '../core/hold.ts';

/** Interfaces whose names say that somebody pays by the byte: modems and dial-up. */
const METERED = /^(?:wwan|ppp|wwp|rmnet|ccmni)/;
const RTF_UP = 0x1;

/** Whether the default route of least cost goes over a metered interface; `metered` are named by the device's owner. */
export function linkCost(metered: readonly string[], routes = '/proc/net/route'): SwitchFacts['link'] {
  try {
    const defaults = readFileSync(routes, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.split('\t'))
      .filter(([, to, , flags]) => to === '00000000' && (Number.parseInt(flags ?? '0', 16) & RTF_UP) !== 0)
      .sort((a, b) => Number(a[6]) - Number(b[6]));
    const name = defaults[0]?.[0];
    if (name === undefined) return 'unknown';
    return metered.includes(name) || METERED.test(name) ? 'metered' : 'unmetered';
  } catch {
    return 'unknown';
  }
}
