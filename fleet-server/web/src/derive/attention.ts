import type { DeviceSummary } from '../api/types.ts';
import type { Tone } from '../format/words.ts';

/** Why somebody should look at a device. Empty = nothing is wrong. */
export interface Concern {
  tone: Extract<Tone, 'warn' | 'bad'>;
  text: string;
}

export function concernsOf(device: DeviceSummary): Concern[] {
  const concerns: Concern[] = [];
  if (device.updatePhase === 'refused') concerns.push({ tone: 'bad', text: 'Refused a release' });
  if (device.updatePhase === 'rolled_back') concerns.push({ tone: 'bad', text: 'Rolled back' });
  if (!device.isOnline) concerns.push({ tone: 'warn', text: 'Offline' });
  const missing = device.services.total - device.services.running;
  // While a release is put in place services stop and start as they should
  if (device.isOnline && missing > 0 && !isUpdating(device)) {
    concerns.push({ tone: 'bad', text: missing === 1 ? '1 service down' : `${missing} services down` });
  }
  return concerns;
}

const MOVING = new Set(['fetching', 'verified', 'staged', 'switching', 'soaking', 'rolling_back']);

export function isUpdating(device: DeviceSummary): boolean {
  return device.updatePhase !== null && MOVING.has(device.updatePhase);
}

/** Worst first, then by id: a stable order, so that rows do not jump as reports come in. */
export function byAttention(a: DeviceSummary, b: DeviceSummary): number {
  return rank(a) - rank(b) || a.id.localeCompare(b.id, 'en', { numeric: true });
}

function rank(device: DeviceSummary): number {
  const concerns = concernsOf(device);
  if (concerns.some(({ tone }) => tone === 'bad')) return 0;
  return concerns.length > 0 ? 1 : 2;
}

/** Every word must occur in the id, the board, a release or a concern. */
export function matches(device: DeviceSummary, search: string): boolean {
  const { desired, current } = device;
  const haystack = [
    device.id,
    device.board,
    device.platform,
    device.isOnline ? 'online' : 'offline',
    device.pinned ? 'pinned' : '',
    current ? `${current.name} ${current.version}` : '',
    desired ? `${desired.release.name} ${desired.release.version}` : '',
    ...concernsOf(device).map(({ text }) => text),
  ]
    .join(' ')
    .toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => haystack.includes(word));
}
