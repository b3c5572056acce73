import { parseDurationMs } from '../../protocol/quantities.ts';

const TIME = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?)?(?:Z|[+-]\d{2}:\d{2})?$/;

/** "10m": so long ago. "2026-11-21T09:50": then, in UTC unless it says otherwise. Unix ms, or undefined. */
export function sinceTime(text: string, now: number): number | undefined {
  const ago = parseDurationMs(text);
  if (ago !== undefined) return Math.max(0, now - ago);
  if (!TIME.test(text)) return undefined;
  const hasZone = /(?:Z|[+-]\d{2}:\d{2})$/.test(text) && text.length > 10;
  // The language takes a date alone as UTC, but one with a time as the machine's.
  const at = Date.parse(text.replace(' ', 'T') + (hasZone || text.length === 10 ? '' : 'Z'));
  return Number.isNaN(at) ? undefined : at;
}
