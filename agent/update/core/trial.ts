import {
  type IncomingRelease,
  labelOf,
  SHIPPED_SYSTEM,
  type SystemInSlot,
  systemWanted,
  type UpdateRecord,
} from './record.ts';
import type { SystemFacts, UpdateContext, UpdateEvent } from './transition.ts';

/** What became of the trial boot of a release's system, looked at from the boot that runs now. */
export type TrialSeen =
  /** There is none, or this boot is it. */
  | { is: 'here'; incoming: IncomingRelease | undefined }
  /** The board has not tried it yet. */
  | { is: 'untried'; incoming: IncomingRelease }
  /** It is to be tried anew, under a new token. */
  | { is: 'cut'; incoming: IncomingRelease }
  | { is: 'lost'; why: string };

export function trialSeen({ incoming }: UpdateRecord, { system: facts }: UpdateContext): TrialSeen {
  const system = incoming?.system;
  if (!incoming || !system?.trial) return { is: 'here', incoming };
  const { trial } = system;
  if (!facts)
    return { is: 'lost', why: `this board tells nothing of the slot that its system ${system.id} is in` };
  const under = (changed: typeof trial): IncomingRelease => ({
    ...incoming,
    system: { ...system, trial: changed },
  });
  if (facts.trialBoot === trial.token) return { is: 'here', incoming: under({ ...trial, isReached: true }) };
  if (facts.trial?.token !== trial.token || !facts.trial.wasTried) return { is: 'untried', incoming };
  // A board whose power went is no reason to think ill of a system that was up: it has another try.
  if (trial.isReached && facts.bootReason === 'lost-power' && facts.trial.cameTo !== 'not-committed')
    return { is: 'cut', incoming: under({ token: facts.freshToken }) };
  return { is: 'lost', why: `its system ${system.id} ${fateOf(trial.isReached, facts)}` };
}

function fateOf(isReached: true | undefined, { trial, bootReason }: SystemFacts): string {
  if (trial?.cameTo === 'not-committed')
    return 'was not committed in the time it was given, and its guard rebooted it';
  // Without an agent in it a trial leaves no more: the reason for a boot is that of the boot before.
  if (!isReached)
    return trial?.cameTo === 'booted'
      ? 'booted and did not come up as far as its agent'
      : 'did not boot: its kernel failed';
  if (bootReason === 'panic') return 'came up, and its kernel panicked';
  if (bootReason === 'watchdog') return 'came up, and the watchdog reset the board';
  return 'came up and was rebooted before the commit';
}

/** What runs is what the release brings: nothing of it is left to be tried. */
export const isWhereItBelongs = ({ system }: IncomingRelease, { system: facts }: UpdateContext): boolean =>
  system?.slot !== undefined && (system.trial === undefined || facts?.trialBoot === system.trial.token);

/** The system to fall back to, and how the incoming one is tried; nothing of both for a release without. */
export function systemsAtSwitch(
  { system }: UpdateRecord,
  incoming: IncomingRelease,
  { system: facts }: UpdateContext,
): { system: SystemInSlot | undefined; brought: IncomingRelease['system'] } {
  const brought = incoming.system;
  if (!brought || !facts) return { system, brought };
  const { booted, freshToken } = facts;
  const here = system?.slot === booted ? system : { id: SHIPPED_SYSTEM, slot: booted };
  const trial = brought.slot === booted ? undefined : { token: freshToken };
  return { system: here, brought: { ...brought, trial } };
}

/**
 * The incoming release's system is about to be written over that of the release before. Where that one's own blobs do
 * not hold it, it could not be put back: a rollback by hand then keeps the system that runs.
 */
export function withoutDoomed({ incoming, previous }: UpdateRecord): Partial<UpdateRecord> {
  const isDoomed = incoming?.system !== undefined && previous?.system?.id !== previous?.brings;
  return previous && isDoomed ? { previous: { ...previous, system: undefined } } : {};
}

/** The board was told to start one system and has started the other, which is no trial: the one does not load. */
export function otherSystem(record: UpdateRecord, { system: facts }: UpdateContext): UpdateEvent | undefined {
  const wanted = systemWanted(record);
  if (!facts || !wanted || wanted.isTrial || !isStuck(wanted, facts)) return undefined;
  const runs = record.current ? labelOf(record.current.release) : 'what there is';
  return {
    code: 'update.system-other',
    message: `The board cannot start its system ${wanted.id} in slot ${wanted.slot}; ${runs} runs on the one in slot ${facts.booted}`,
    release: record.current?.release,
    phase: record.phase,
  };
}

/** Telling the board once more would change nothing. */
export const isStuck = (
  wanted: { slot: string; decidedIn: string | undefined },
  facts: Pick<NonNullable<UpdateContext['system']>, 'booted' | 'active' | 'trial' | 'trialBoot' | 'bootId'>,
): boolean =>
  facts.booted !== wanted.slot &&
  facts.active === wanted.slot &&
  facts.trial === undefined &&
  facts.trialBoot === undefined &&
  facts.bootId !== wanted.decidedIn;
