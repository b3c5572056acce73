import { isoTime } from '../../../protocol/instant.ts';
import type { Reason, ReasonCode } from '../../../protocol/reasons.ts';
import { SERVICE_LEASE_MAX_MS } from '../../../protocol/service-lease.ts';
import type { UpdatePolicy } from '../../../protocol/update-policy.ts';

/** Somebody or something asks not to be disturbed, for a time. */
export interface Lease {
  /** A service of the release, or who took it by hand. */
  holder: string;
  why: string;
  /** Unix ms. */
  until: number;
  /** A service's own: one that never ends would keep a device from updates, so it counts for a time only. */
  isService?: true;
}

/** A lease ends by itself: nobody has to remember that an update waits for it. */
export const LEASE_MAX_MS = 7 * 86_400_000;

/** What the device knows of itself when a switch is due. */
export interface SwitchFacts {
  /** Whether a window of the incoming release's policy is open, and when the next one opens, Unix ms. */
  window: { isOpen: boolean; opensAt: number | undefined };
  leases: readonly Lease[];
  power: 'external' | 'battery' | 'unknown';
  link: 'metered' | 'unmetered' | 'unknown';
  /** Whether the server is reached now. */
  isOnline: boolean;
}

export const NOTHING_KNOWN: SwitchFacts = {
  window: { isOpen: true, opensAt: undefined },
  leases: [],
  power: 'unknown',
  link: 'unknown',
  isOnline: false,
};

/** What is asked of one incoming release. */
export interface HoldSubject {
  policy: UpdatePolicy;
  /** When it was accepted, Unix ms. */
  acceptedAt: number;
  /** Who said yes to it at the device. */
  consent: string | undefined;
  /** Put off by hand until, Unix ms. */
  deferredUntil: number | undefined;
}

export interface Hold {
  code: Extract<ReasonCode, `wait.${string}`>;
  message: string;
}

/** Why nothing is to be fetched now; undefined when the download may go on. Unknown links are not metered. */
export function holdFetch({ policy }: HoldSubject, { link }: SwitchFacts): Hold | undefined {
  if (policy.urgent !== undefined || policy.metered !== 'wait' || link !== 'metered') return undefined;
  return { code: 'wait.metered', message: 'The link is metered; the download begins on another one' };
}

/**
 * Both in Unix ms. `now`: trusted time, in which it was accepted. `at`: the device's own clock, by which people and
 * services say until when; on a board without one the two are decades apart.
 */
interface Times {
  now: number;
  at: number;
}

/**
 * Why the release may not take over now; undefined when it may. Consent and power are never overridden by time: a
 * device that is not asked, or that may lose its power half-way, is worse than a late one.
 */
export const holdSwitch = (subject: HoldSubject, facts: SwitchFacts, times: Times): Hold | undefined =>
  holdsOfSwitch(subject, facts, times)[0];

/** All of them, the one that is told first. */
export function holdsOfSwitch(subject: HoldSubject, facts: SwitchFacts, { now, at }: Times): Hold[] {
  const { policy, acceptedAt, consent, deferredUntil } = subject;
  const holds: Hold[] = [];
  if (policy.consent !== undefined && consent === undefined)
    holds.push({ code: 'wait.consent', message: 'Waits for somebody at the device to agree' });
  if (policy.power === 'external' && facts.power !== 'external')
    holds.push({ code: 'wait.power', message: `Waits for external power; it is ${facts.power}` });
  const isOverdue = policy.maxDeferralMs !== undefined && now - acceptedAt >= policy.maxDeferralMs;
  if (policy.urgent !== undefined || isOverdue) return holds;
  if (deferredUntil !== undefined && deferredUntil > at)
    holds.push({ code: 'wait.deferred', message: `Put off by hand until ${isoTime(deferredUntil)}` });
  const counting = facts.leases.filter(
    ({ until, isService }) => until > at && !(isService && now - acceptedAt >= SERVICE_LEASE_MAX_MS),
  );
  for (const { holder, until, why } of counting) {
    const message = `${holder} is not to be disturbed until ${isoTime(until)}: ${why}`;
    holds.push({ code: 'wait.lease', message });
  }
  if (policy.windows !== undefined && !facts.window.isOpen) holds.push(windowHold(facts.window));
  return holds;
}

const windowHold = ({ opensAt }: SwitchFacts['window']): Hold => ({
  code: 'wait.window',
  message:
    opensAt === undefined
      ? 'Waits for its update window'
      : `Waits for the update window of ${isoTime(opensAt)}`,
});

/** Whether a wait that is shown already says the same. */
export const isSameHold = (shown: Reason | undefined, { code, message }: Hold): boolean =>
  shown?.code === code && shown.message === message;
