import type { CronTime as CronTimeClass } from 'cron';
import type { UpdatePolicy } from '../../../protocol/update-policy.ts';
import type { SwitchFacts } from '../core/hold.ts';

type Window = NonNullable<UpdatePolicy['windows']>[number];
type CronTime = typeof CronTimeClass;

const MINUTE_MS = 60_000;

/** Windows of a policy in this device's local time. The cron package is loaded for the first policy that has some. */
export class UpdateWindows {
  #CronTime: CronTime | undefined;

  /** `now` in Unix ms. Closed until the schedule can be read. */
  state(windows: readonly Window[] | undefined, now: number): SwitchFacts['window'] {
    if (windows === undefined) return { isOpen: true, opensAt: undefined };
    const Time = this.#CronTime;
    if (Time === undefined) {
      this.load().catch(() => undefined);
      return { isOpen: false, opensAt: undefined };
    }
    const openings = windows.flatMap((window) => {
      // The last opening that still counts, or else the next one.
      const opensAt = nextOpening(Time, window.schedule, now - window.minutes * MINUTE_MS);
      return opensAt === undefined ? [] : [opensAt];
    });
    const isOpen = openings.some((opensAt) => opensAt <= now);
    return { isOpen, opensAt: isOpen || openings.length === 0 ? undefined : Math.min(...openings) };
  }

  async load(): Promise<void> {
    this.#CronTime ??= (await import('cron')).CronTime;
  }
}

/** First opening after `from`, Unix ms; undefined for a schedule that never comes, or that cannot be read. */
function nextOpening(Time: CronTime, schedule: string, from: number): number | undefined {
  try {
    return new Time(schedule).getNextDateFrom(new Date(from)).toMillis();
  } catch {
    return undefined;
  }
}
