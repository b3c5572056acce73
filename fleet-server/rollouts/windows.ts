import { CronTime } from 'cron';
import type { UpdatePolicy } from '../../protocol/update-policy.ts';
import { ProblemError } from '../problems.ts';
import { scheduleWords } from './core/schedule-words.ts';

type Windows = NonNullable<UpdatePolicy['windows']>;

/** The windows in words. Throws ProblemError for a schedule that the devices could not follow, or that never comes. */
export function checkWindows(windows: Windows): string[] {
  return windows.map((window, index) => {
    const fault = faultOf(window.schedule);
    if (fault === undefined) return scheduleWords(window);
    throw new ProblemError(
      'rollout.window-bad',
      `Cannot use window ${index + 1}: "${window.schedule}" ${fault}; wanted minute, hour, day, month and weekday, such as 0 2 * * 6`,
    );
  });
}

/** Read as the device does, with the same package. */
function faultOf(schedule: string): string | undefined {
  let time: CronTime;
  try {
    time = new CronTime(schedule);
  } catch (error) {
    return `cannot be read (${error instanceof Error ? error.message : String(error)})`;
  }
  try {
    time.getNextDateFrom(new Date());
    return undefined;
  } catch {
    return 'never comes';
  }
}
