import type { AnswerEnd, Ask } from '../../../protocol/remote.ts';
import { REMOTE_LIMITS, type RemoteAction } from '../../../protocol/remote-actions.ts';

/** What the gate remembers of one control session. */
export interface GateMemory {
  session: string;
  /** Ids that were asked, with when their asks run out by the device's clock, Unix ms. */
  seen: ReadonlyMap<string, number>;
  /** When the last asks came, oldest first, Unix ms. */
  recent: readonly number[];
}

export type Verdict =
  | { kind: 'take' }
  /** Not answered: whoever sent it had its answer, or never asked. */
  | { kind: 'drop'; why: string }
  | { kind: 'refuse'; code: Extract<AnswerEnd, 'off' | 'stale' | 'busy'>; message: string };

const MINUTE_MS = 60_000;

/**
 * Whether an ask is carried out: once, soon, in the session that it was meant for, within the device's own bounds.
 * Replayed, a reboot is an attack; held up for a minute, it is a surprise. Times are Unix ms by the device's clock.
 */
export function judge(
  ask: Pick<Ask, 'id' | 'session' | 'expiresAt' | 'action'>,
  memory: GateMemory,
  device: { now: number; open: number; allowed: ReadonlySet<RemoteAction> },
): { verdict: Verdict; memory: GateMemory } {
  const { now, open, allowed } = device;
  const seen = new Map([...memory.seen].filter(([, expiresAt]) => expiresAt > now));
  const recent = memory.recent.filter((at) => at > now - MINUTE_MS);
  const next = { session: memory.session, seen, recent };
  const refuse = (code: 'off' | 'stale' | 'busy', message: string) => ({
    verdict: { kind: 'refuse' as const, code, message },
    memory: next,
  });
  if (ask.session !== memory.session)
    return { verdict: { kind: 'drop', why: 'it was asked in another session' }, memory: next };
  if (seen.has(ask.id)) return { verdict: { kind: 'drop', why: 'it was asked before' }, memory: next };
  // Not answered: the server keeps to the same bound by itself, and tells people.
  if (recent.length >= REMOTE_LIMITS.asksPerMinute)
    return { verdict: { kind: 'drop', why: 'too many came in a minute' }, memory: next };
  recent.push(now);
  // One that held for long would have to be remembered for as long.
  if (ask.expiresAt <= now || ask.expiresAt > now + 2 * REMOTE_LIMITS.askMs)
    return refuse('stale', 'the request reached the device too late, or one of the two clocks was set');
  seen.set(ask.id, ask.expiresAt);
  if (!allowed.has(ask.action))
    return refuse('off', `the configuration of this device switches "${ask.action}" off`);
  if (open >= REMOTE_LIMITS.streams)
    return refuse('busy', `this device answers ${REMOTE_LIMITS.streams} requests at a time`);
  return { verdict: { kind: 'take' }, memory: next };
}
