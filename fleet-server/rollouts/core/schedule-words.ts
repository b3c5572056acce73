import type { UpdatePolicy } from '../../../protocol/update-policy.ts';

type Window = NonNullable<UpdatePolicy['windows']>[number];

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const SHORT = DAYS.map((day) => day.slice(0, 3).toLowerCase());

/** A window as people say it; a schedule that has no plain words keeps its own. Times are the device's. */
export function scheduleWords({ schedule, minutes }: Window): string {
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = schedule.split(' ');
  const times = timesOf(minute, hour);
  const days = month === '*' ? daysOf(day, weekday) : undefined;
  const length = lengthOf(minutes);
  if (times === undefined || days === undefined) return `at the cron times "${schedule}" for ${length}`;
  if (hour === '*')
    return days === EVERY_DAY
      ? `every hour ${times} for ${length}`
      : `${days} ${times}, every hour, for ${length}`;
  return `${days} ${times} for ${length}`;
}

const EVERY_DAY = 'every day';

function timesOf(minute: string, hour: string): string | undefined {
  if (!isNumber(minute)) return undefined;
  if (hour === '*') return `from minute ${Number(minute)}`;
  const hours = hour.split(',');
  if (!hours.every(isNumber)) return undefined;
  return `from ${listed(hours.map((at) => `${pad(at)}:${pad(minute)}`))}`;
}

function daysOf(day: string, weekday: string): string | undefined {
  if (day === '*' && weekday === '*') return EVERY_DAY;
  // Cron takes either of the two when both are given: nothing that people expect.
  if (day !== '*' && weekday !== '*') return undefined;
  if (day !== '*') {
    const days = day.split(',');
    return days.every(isNumber) ? `on day ${listed(days)} of each month` : undefined;
  }
  const [first, last, ...more] = weekday.split('-').map(dayIndex);
  if (last !== undefined && first !== undefined && more.length === 0 && weekday.includes('-'))
    return `${DAYS[first]}s to ${DAYS[last]}s`;
  const days = weekday.split(',').map(dayIndex);
  if (days.includes(undefined)) return undefined;
  return listed([...new Set(days)].map((index) => `${DAYS[index ?? 0]}s`));
}

function dayIndex(text: string): number | undefined {
  if (/^[0-7]$/.test(text)) return Number(text) % 7;
  const at = SHORT.indexOf(text.toLowerCase());
  return at < 0 ? undefined : at;
}

function lengthOf(minutes: number): string {
  const parts = [
    [Math.floor(minutes / 1440), 'd'],
    [Math.floor((minutes % 1440) / 60), 'h'],
    [minutes % 60, 'min'],
  ] as const;
  return parts
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}

const isNumber = (text: string): boolean => /^\d{1,2}$/.test(text);
const pad = (text: string): string => text.padStart(2, '0');
const listed = (items: string[]): string =>
  items.length < 2 ? (items[0] ?? '') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
