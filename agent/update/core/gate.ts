import type { Assignment } from '../../../protocol/assignment.ts';
import type { ReasonCode } from '../../../protocol/reasons.ts';
import { isSameRelease, labelOf, type ReleaseRef, type UpdateRecord } from './record.ts';

export interface GateContext {
  device: string;
  board: string;
  /** Trusted time, Unix milliseconds. */
  now: number;
}

export type GateVerdict =
  | { verdict: 'accept' | 'known'; release: ReleaseRef }
  /** `isFinal`: this generation is decided for good, so the server need not send it again. */
  | { verdict: 'refuse'; release: ReleaseRef; code: ReasonCode; message: string; isFinal: boolean };

/** Whether it failed on this device, and does not run by now. */
export const isBad = ({ bad, current }: UpdateRecord, { manifest }: ReleaseRef): boolean =>
  bad.includes(manifest) && current?.release.manifest !== manifest;

/** Whether an assignment with a good signature may change anything. */
export function judgeAssignment(
  record: UpdateRecord,
  assignment: Assignment,
  context: GateContext,
): GateVerdict {
  const { generation, release: wanted } = assignment;
  const release: ReleaseRef = { ...wanted, generation };
  const refuse = (code: ReasonCode, message: string, isFinal: boolean): GateVerdict => ({
    verdict: 'refuse',
    release,
    code,
    message: `Cannot accept ${labelOf(release)}: ${message}`,
    isFinal,
  });
  if (assignment.device !== context.device)
    return refuse(
      'refused.assignment-device',
      `the assignment is for device "${assignment.device}"; this is "${context.device}"`,
      false,
    );
  const accepted = record.accepted;
  if (accepted?.generation === generation && isSameRelease(accepted, release))
    return { verdict: 'known', release };
  if (accepted && generation <= accepted.generation)
    return refuse(
      'refused.generation',
      `generation is ${generation}; this device has already accepted ${accepted.generation}`,
      false,
    );
  if (assignment.expiresAt <= context.now)
    return refuse(
      'refused.assignment-expired',
      'the assignment has expired; the server needs to send a fresh one',
      false,
    );
  if (assignment.board !== context.board)
    return refuse(
      'refused.board',
      `the assignment is for board "${assignment.board}"; this is a "${context.board}"`,
      true,
    );
  if (isBad(record, release))
    return refuse('refused.bad-release', 'it failed on this device before; deploy another release', true);
  return { verdict: 'accept', release };
}
