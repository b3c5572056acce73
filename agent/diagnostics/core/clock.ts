import { isoTime } from '../../../protocol/instant.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

export interface ClockFacts {
  /** The clock, Unix ms, and times that it cannot be before: when the agent was built, what was seen signed. */
  now: number;
  builtAt: number;
  /** 0 = nothing was seen signed, or the ledger cannot be read. */
  trustedTime: number;
  state: 'synchronised' | 'unsynchronised' | 'unknown';
}

/** Signed times and the clock may differ by what the network took. */
const SLACK_MS = 60_000;
/** No device of ours runs this software for so long without a newer one. */
const FAR_MS = 20 * 365 * 86_400_000;
const SET_IT =
  'let it set itself by NTP (UDP port 123 to a time server must be open), or set it by hand with "date -s"; ' +
  'a board without a battery forgets the time when it loses power';

/** Whether a certificate's or a signature's time can be judged by this clock at all. */
export const isPlausible = ({ now, builtAt, trustedTime }: Omit<ClockFacts, 'state'>): boolean =>
  now >= builtAt && now >= trustedTime - SLACK_MS && now < builtAt + FAR_MS;

export function judgeClock(facts: ClockFacts): Finding {
  const { now, builtAt, trustedTime, state } = facts;
  const shown = isoTime(now);
  if (now < builtAt)
    return fail(`The clock says ${shown}, before this software was built (${isoTime(builtAt)})`, SET_IT);
  if (now < trustedTime - SLACK_MS)
    return fail(`The clock says ${shown}, but ${isoTime(trustedTime)} was seen signed already`, SET_IT);
  if (!isPlausible(facts))
    return fail(`The clock says ${shown}, decades after this software was built`, SET_IT);
  if (state === 'unsynchronised')
    return warn(
      `${shown} is plausible, but nothing keeps the clock right`,
      'start a time service (systemd-timesyncd, chrony) and let UDP port 123 through',
    );
  return ok(state === 'synchronised' ? `${shown}, synchronised` : `${shown}; what keeps it is not known`);
}
