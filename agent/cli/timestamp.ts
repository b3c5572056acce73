/** RFC 3339 in UTC: a fleet spans time zones, and a board often has none set. */
export const timestamp = (ms: number): string => new Date(ms).toISOString();

/** To the second, for prose: "2026-11-21 10:00:00Z". */
export const clockTime = (ms: number): string => `${timestamp(ms).slice(0, 19).replace('T', ' ')}Z`;
