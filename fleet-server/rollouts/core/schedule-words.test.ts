import { expect, test } from 'vitest';
import { scheduleWords } from './schedule-words.ts';

test.each([
  ['0 2 * * *', 90, 'every day from 02:00 for 1 h 30 min'],
  ['30 22 * * 6', 60, 'Saturdays from 22:30 for 1 h'],
  ['0 2 * * 1-5', 120, 'Mondays to Fridays from 02:00 for 2 h'],
  ['0 2 * * sat,SUN', 45, 'Saturdays and Sundays from 02:00 for 45 min'],
  ['0 2 * * 0,3,7', 1440, 'Sundays and Wednesdays from 02:00 for 1 d'],
  ['0 3 1 * *', 60, 'on day 1 of each month from 03:00 for 1 h'],
  ['0 2,14 * * *', 60, 'every day from 02:00 and 14:00 for 1 h'],
  ['15 * * * *', 10, 'every hour from minute 15 for 10 min'],
  ['*/5 1-3 * 2 *', 5, 'at the cron times "*/5 1-3 * 2 *" for 5 min'],
  ['0 0 1 * 1', 5, 'at the cron times "0 0 1 * 1" for 5 min'],
])('%s for %i minutes is %s', (schedule, minutes, words) => {
  expect(scheduleWords({ schedule, minutes })).toBe(words);
});
