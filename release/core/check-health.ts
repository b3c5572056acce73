import { parseDurationMs } from '../../protocol/quantities.ts';
import { isWithoutNetwork } from './check-network.ts';
import type { SourceService } from './resolve.ts';

const KINDS = ['exec', 'http', 'tcp'] as const;
const MIN_MS = 100;

export function healthFaults(at: string, service: SourceService): string[] {
  const { health } = service;
  if (!health) return [];
  const here = `${at}.health`;
  const kinds = KINDS.filter((kind) => health[kind] !== undefined);
  const [kind] = kinds;
  const faults: string[] = [];
  if (!kind) faults.push(`${here} says nothing to check; give it one of exec, http and tcp`);
  if (kinds.length > 1) faults.push(`${here} has ${kinds.join(' and ')}; keep one of them`);
  if (kind && kind !== 'exec' && isWithoutNetwork(service))
    faults.push(`${here}.${kind}: the service has no network to reach it by; use exec, or add networks`);
  for (const key of ['interval', 'timeout'] as const) {
    const text = health[key];
    if (text !== undefined && (parseDurationMs(text) ?? 0) < MIN_MS)
      faults.push(`${here}.${key} is ${text}; wanted 100ms or more`);
  }
  return faults;
}
