import type { AskedPolicy } from '../../api/types.ts';

const DAY_MS = 86_400_000;
const BYTES_PER_MBIT = 125_000;

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
  /** What leaves the server for it, as typed; empty = no limit. */
  egressMbit: string;
}

export const NO_RULES: PolicyForm = {
  windows: [],
  maxDeferralDays: 0,
  consent: false,
  metered: false,
  power: false,
  commitOffline: false,
  isUrgent: false,
  egressMbit: '',
};

/** Of a rollout's rate; the server takes no less and no more. */
export const EGRESS_MBIT = { least: 0.01, most: 100_000 } as const;

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

/** The rate in bytes a second; undefined = no limit, null = nonsense was typed. */
export function egressOf({ egressMbit }: PolicyForm): number | undefined | null {
  if (egressMbit.trim() === '') return undefined;
  const mbit = Number(egressMbit);
  return mbit >= EGRESS_MBIT.least && mbit <= EGRESS_MBIT.most ? Math.round(mbit * BYTES_PER_MBIT) : null;
}
