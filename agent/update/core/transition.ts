import type { Assignment } from '../../../protocol/assignment.ts';
import type { UpdatePhase } from '../../../protocol/messages.ts';
import type { ReasonCode } from '../../../protocol/reasons.ts';
import type { DeviceHealth } from '../../../protocol/status.ts';
import type { Slot, SlotStatus, Standing, WorkloadHealth } from '../ports.ts';
import type { SwitchFacts } from './hold.ts';
import type { ReleaseRef, UpdateRecord } from './record.ts';

export type UpdateInput =
  /** The process came up; effects of before may be half done. */
  | { type: 'started' }
  /** An assignment whose signature holds. */
  | { type: 'assigned'; assignment: Assignment }
  /** An offer that is not to be trusted at all: nothing in it is used. */
  | { type: 'offer-refused'; code: ReasonCode; message: string }
  /** The manifest of the incoming release passed every check. */
  | {
      type: 'manifest-checked';
      manifest: string;
      soakMs: number;
      standing?: Standing;
      agent?: string | undefined;
      /** Id of the system that it brings for this board. */
      system?: string | undefined;
    }
  | { type: 'incoming-refused'; code: ReasonCode; message: string }
  | { type: 'source-failed'; message: string }
  | { type: 'delta-unusable'; message: string }
  | { type: 'blobs-verified' }
  /** `slot`: where its system lies by now. */
  | { type: 'staged'; slot?: Slot | undefined }
  | { type: 'switch' }
  /** Time has passed, or what the device knows of itself has changed. */
  | { type: 'look' }
  /** A key that the one trusted so far has handed over to, SPKI PEM. `enrolled`: fingerprint of enrolment's key. */
  | { type: 'fleet-key'; key: string; enrolled: string }
  /** The server told the time, signed, Unix ms. */
  | { type: 'time'; at: number }
  /** Somebody at the device brought a release in a folder. Its keys must have signed it all the same. */
  | { type: 'applied'; release: Omit<ReleaseRef, 'generation'>; from: string; by: string }
  /** By hand at the device. */
  | { type: 'consent'; by: string }
  | { type: 'defer'; until: number; by: string }
  | { type: 'roll-back'; by: string }
  /** `elapsedMs`: time since the last look, at least. */
  | { type: 'health'; health: WorkloadHealth; elapsedMs: number };

/** Each may be cut short or repeated; the record alone says what to do next. */
export type UpdateEffect =
  | 'stop-fetch'
  | 'fetch'
  | 'stage'
  | 'switch'
  | 'switch-system'
  | 'switch-agent'
  | 'apply'
  | 'collect';

export interface UpdateEvent {
  code: ReasonCode;
  message: string;
  release: ReleaseRef | undefined;
  phase: UpdatePhase;
}

export interface Transition {
  record: UpdateRecord;
  effects: UpdateEffect[];
  events: UpdateEvent[];
  /** False when only the tick counters moved: those need not survive a crash. */
  isDurable: boolean;
}

export interface UpdateContext {
  device: string;
  board: string;
  /** System clock, Unix milliseconds: stamps only. */
  at: number;
  /** Trusted time, Unix milliseconds: decides expiry. */
  now: number;
  facts: SwitchFacts;
  /** Which agent this is, and one that was tried here and did not come up; absent = none can be changed here. */
  agent?: { running: string; failed: string | undefined } | undefined;
  /** The board's slots; absent = it has none. */
  system?: SystemFacts | undefined;
}

export interface SystemFacts extends SlotStatus {
  bootId: string;
  /** Why the device booted; absent where nothing is known of it. */
  bootReason?: BootReason | undefined;
  /** Used for no trial before. */
  freshToken: string;
}

export type BootReason = NonNullable<DeviceHealth['boot']>['reason'];

export const UPDATE_RULES = {
  /** A switch that has neither settled nor failed by then, beyond three soak times, is rolled back. */
  settleMs: 180_000,
  /** A rollback is called done after this even when the old release is not well either. */
  rollBackMs: 60_000,
  /** A server that was there before the switch and has not been reached for this long since is the release's fault. */
  reachMs: 600_000,
  /** Agent starts that one switch survives. */
  resumes: 3,
  timeKeptMs: 3_600_000,
  badReleases: 16,
} as const;

/** Moves to a phase; a reason given here is also an event. */
export function enter(
  record: UpdateRecord,
  phase: UpdatePhase,
  context: UpdateContext,
  change: Partial<UpdateRecord>,
  effects: UpdateEffect[],
  why?: { code: ReasonCode; message: string },
): Transition {
  const message = clip(why?.message ?? '');
  const reason = why && { code: why.code, message, at: context.at };
  const moved = { phase, since: context.at, phaseMs: 0, healthyMs: 0, reason };
  const next: UpdateRecord = { ...record, ...moved, ...change };
  const events = why ? [{ code: why.code, message, release: next.about, phase }] : [];
  return { record: next, effects, events, isDurable: true };
}

export const unchanged = (record: UpdateRecord): Transition => ({
  record,
  effects: [],
  events: [],
  isDurable: false,
});

export const isUnderWay = (record: UpdateRecord): boolean =>
  record.incoming !== undefined || record.phase === 'rolling_back';

/** Messages on the wire hold at most 1024 characters (protocol/messages.ts). */
export const clip = (message: string): string =>
  message.length > 1000 ? `${message.slice(0, 999)}…` : message;
