import type { AskedPolicy } from '../../api/types.ts';

const DAY_MS = 86_400_000;

export interface WindowRow {
  key: number;
  schedule: string;
  minutes: number;
}

/** The rules of a rollout as the form holds them. */
export interface PolicyForm {
  /** Empty = as soon as it is ready. */
  windows: WindowRow[];
  /** 0 = without end. */
  maxDeferralDays: number;
  consent: boolean;
  metered: boolean;
  power: boolean;
  commitOffline: boolean;
  isUrgent: boolean;
}

export const NO_RULES: PolicyForm = {
  windows: [],
  maxDeferralDays: 0,
  consent: false,
  metered: false,
  power: false,
  commitOffline: false,
  isUrgent: false,
};

export const DEFERRALS = [
  { days: 0, label: 'As long as it takes' },
  { days: 1, label: '1 day' },
  { days: 3, label: '3 days' },
  { days: 7, label: '7 days' },
  { days: 30, label: '30 days' },
] as const;

export const PRESETS = [
  { label: 'Every night', schedule: '0 2 * * *', minutes: 120 },
  { label: 'Saturday night', schedule: '0 2 * * 6', minutes: 240 },
  { label: 'Working days at noon', schedule: '0 12 * * 1-5', minutes: 60 },
] as const;

/** Undefined when nothing is asked for. */
export function toPolicy(form: PolicyForm): AskedPolicy | undefined {
  const policy: AskedPolicy = {
    ...(form.windows.length > 0 && {
      windows: form.windows.map(({ schedule, minutes }) => ({
        schedule: schedule.trim().replaceAll(/\s+/g, ' '),
        minutes,
      })),
    }),
    ...(form.maxDeferralDays > 0 && { maxDeferralMs: form.maxDeferralDays * DAY_MS }),
    ...(form.consent && { consent: 'required' as const }),
    ...(form.metered && { metered: 'wait' as const }),
    ...(form.power && { power: 'external' as const }),
    ...(form.commitOffline && { commitOffline: true as const }),
  };
  return Object.keys(policy).length > 0 ? policy : undefined;
}
