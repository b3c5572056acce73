/** Unix milliseconds as people and logs read them: ISO 8601 UTC, to the second. */
export const isoTime = (at: number): string => `${new Date(at).toISOString().slice(0, 19)}Z`;
