import type { ReasonCode } from '../../../protocol/reasons.ts';
import { isBad } from './gate.ts';
import { type Hold, holdFetch, holdsOfSwitch, type SwitchFacts } from './hold.ts';
import { isSameRelease, type ReleaseRef, type UpdateRecord } from './record.ts';
import { subjectOf } from './waiting.ts';

export interface Offered {
  verdict: 'nothing-offered' | 'runs' | 'under-way' | 'waits' | 'refused';
  release?: ReleaseRef;
  /** Why it is not taken, or not yet: all that holds it, what is told first at the front. */
  why: { code: ReasonCode; message: string }[];
}

/** What was offered last and why it is not taken. Times in Unix ms: `now` trusted, `at` the device's own clock. */
export function offeredTo(
  record: UpdateRecord,
  facts: SwitchFacts,
  times: { now: number; at: number },
): Offered {
  const { incoming, phase, about, reason, current } = record;
  if (incoming !== undefined) {
    const { release } = incoming;
    const hasSwitched = phase === 'switching' || phase === 'soaking';
    const holds: Hold[] = hasSwitched ? [] : holdsOf(record, facts, times);
    if (holds.length > 0) return { verdict: 'waits', release, why: holds };
    return { verdict: 'under-way', release, why: reason ? [said(reason)] : [] };
  }
  if (about === undefined) return { verdict: 'nothing-offered', why: [] };
  if (phase !== 'refused' && current && isSameRelease(current.release, about))
    return { verdict: 'runs', release: about, why: [] };
  if (phase === 'refused' || isBad(record, about)) {
    const why = reason ? [said(reason)] : [];
    const isTold = reason?.code === 'refused.bad-release';
    return { verdict: 'refused', release: about, why: isBad(record, about) && !isTold ? [...why, BAD] : why };
  }
  return { verdict: 'under-way', release: about, why: reason ? [said(reason)] : [] };
}

function holdsOf({ incoming }: UpdateRecord, facts: SwitchFacts, times: { now: number; at: number }): Hold[] {
  if (incoming === undefined) return [];
  const subject = subjectOf(incoming);
  const fetch = holdFetch(subject, facts);
  return [...(fetch ? [fetch] : []), ...holdsOfSwitch(subject, facts, times)];
}

const said = ({ code, message }: { code: ReasonCode; message: string }) => ({ code, message });
const BAD = {
  code: 'refused.bad-release' as const,
  message: 'It failed on this device before, and is not taken again',
};
