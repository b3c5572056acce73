import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SwitchFacts } from '../core/hold.ts';

/** What feeds the device, from /sys/class/power_supply. A board without a battery says nothing: it is external. */
export function powerState(folder = '/sys/class/power_supply'): SwitchFacts['power'] {
  try {
    const supplies = readdirSync(folder).map((name) => ({
      type: word(join(folder, name, 'type')),
      online: word(join(folder, name, 'online')),
      scope: word(join(folder, name, 'scope')),
    }));
    // A battery with the scope of a device is that of a mouse or a phone.
    const own = supplies.filter(({ scope }) => scope !== 'Device');
    if (own.some(({ type, online }) => type !== 'Battery' && online === '1')) return 'external';
    return own.some(({ type }) => type === 'Battery') ? 'battery' : 'external';
  } catch {
    return 'unknown';
  }
}

function word(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
