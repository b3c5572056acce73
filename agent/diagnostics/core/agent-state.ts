import { isoTime } from '../../../protocol/instant.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

/** The agent as it answers, or as it was last seen. */
export type AgentFacts =
  | {
      isUp: true;
      version: string;
      link: 'connected' | 'connecting' | 'offline' | 'not-enrolled';
      detail?: string | undefined;
      faults: string[];
      /** Services that are not as they should be. */
      down: string[];
    }
  | ({ isUp: false; why: string } & LastSeen);

export interface LastSeen {
  /** When it last wrote something, Unix ms; undefined when it never did. */
  seenAt: number | undefined;
  /** What the service manager says, in its words; undefined without one. */
  unit: string | undefined;
}

/** "last sign of life 2026-11-21T10:00:00Z; systemd says failed (Result: signal)" */
export function describeLastSeen({ seenAt, unit }: LastSeen): string {
  const seen =
    seenAt === undefined ? 'it left no sign of life' : `its last sign of life is of ${isoTime(seenAt)}`;
  return unit === undefined ? seen : `${seen}; the service manager says ${unit}`;
}

export function judgeAgent(facts: AgentFacts): Finding {
  if (!facts.isUp)
    return fail(
      `The agent does not answer: ${facts.why}; ${describeLastSeen(facts)}`,
      'start it ("systemctl start wherry-agent"), and see why it ended with "journalctl -u wherry-agent"; its services ' +
        'run on without it',
    );
  const { version, link, detail, faults, down } = facts;
  const told = `agent ${version}, link ${link}${link === 'connected' || !detail ? '' : ` (${detail})`}`;
  if (faults.length > 0) return warn(`${told}; ${faults.join('; ')}`, 'see "wherry status"');
  if (down.length > 0) return warn(`${told}; not up: ${down.join(', ')}`, 'ask "wherry why" of each');
  return ok(told);
}
