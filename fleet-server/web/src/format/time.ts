const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const SPANS = [
  { ms: DAY, unit: 'd' },
  { ms: HOUR, unit: 'h' },
  { ms: MINUTE, unit: 'min' },
  { ms: SECOND, unit: 's' },
] as const;

/** The two largest units: 3 d 4 h, 5 min 12 s. */
export function duration(ms: number): string {
  const first = SPANS.findIndex((span) => ms >= span.ms);
  const large = SPANS[first];
  if (!large) return '0 s';
  const small = SPANS[first + 1];
  const rest = small ? Math.floor((ms % large.ms) / small.ms) : 0;
  const head = `${Math.floor(ms / large.ms)} ${large.unit}`;
  return small && rest > 0 ? `${head} ${rest} ${small.unit}` : head;
}

/** `at` and `now` in Unix milliseconds: just now, 40 s ago, 3 h ago, in 89 d. */
export function relative(at: number, now: number): string {
  const distance = Math.abs(now - at);
  if (distance < 10 * SECOND) return 'just now';
  const span = SPANS.find(({ ms }) => distance >= ms) ?? { ms: SECOND, unit: 's' };
  const words = `${Math.floor(distance / span.ms)} ${span.unit}`;
  return at > now ? `in ${words}` : `${words} ago`;
}

export function dateTime(at: number): string {
  return new Date(at).toLocaleString('en-GB', {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
  });
}

export function clock(at: number): string {
  return new Date(at).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
}

const INSTANT = /\b\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?Z/g;

/** Times in a sentence of a device, in the reader's own zone with their weekday: "Sat, 22 Nov, 02:00". */
export const localTimes = (sentence: string): string =>
  sentence.replaceAll(INSTANT, (text) =>
    new Date(text).toLocaleString('en-GB', {
      weekday: 'short',
      day: 'numeric',
      month: 'short',
      hour: '2-digit',
      minute: '2-digit',
    }),
  );
