/** Unix milliseconds as people and logs read them: ISO 8601 UTC, to the second. */
export const isoTime = (at: number): string => `${new Date(at).toISOString().slice(0, 19)}Z`;

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/;

/** The other way: an ISO 8601 time with its zone as Unix ms; undefined for anything else. */
export function parseInstant(text: string): number | undefined {
  const at = INSTANT.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : at;
}
