/** Where the update engine meets the world. */
import type { DeviceEvent } from '../../protocol/messages.ts';
import type { ReasonCode } from '../../protocol/reasons.ts';
import type { AgentImage } from '../self-update/agent-image.ts';
import type { DesiredServices } from '../supervisor/service-spec.ts';
import type { SystemImage } from '../system-slots/system-image.ts';
import type { UpdateRecord } from './core/record.ts';

/** Gives ranges of content-addressed objects (protocol/objects.ts). What it gives is not trusted. */
export interface ChunkSource {
  /** A whole small object. Refuses (SourceError) past `maxBytes`. */
  read(object: string, maxBytes: number, signal: AbortSignal): Promise<Buffer>;
  /**
   * Delivers the wanted chunks of an object in any order, each at least once; resolves when all were delivered.
   * `onChunk` may be asynchronous: the source asks for no more than its window beyond what was taken. Its payload lasts
   * until it returns; what is to be kept for longer is copied.
   */
  fetch(
    object: string,
    chunks: readonly number[],
    onChunk: (index: number, payload: Buffer) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
  /** What came last was not what was signed: true when it will come from elsewhere next time. */
  blame?(): boolean;
}

/** Immutable blobs by fs-verity digest. A blob is visible under its digest only when whole, verified and durable. */
export interface BlobStore {
  has(verity: string, size: number): Promise<boolean>;
  /** Opens the partial download of a blob; pieces verified and synced in an earlier run are kept. */
  resume(verity: string, size: number, leaves: Buffer): Promise<PartialBlob>;
  pathOf(verity: string): string;
  /** Verified bytes of a partial download; 0 when there is none. */
  partialBytes(verity: string, size: number): Promise<number>;
  /** Deletes every blob and partial whose digest is not in `keep`. Resolves with the bytes freed. */
  collect(keep: ReadonlySet<string>): Promise<number>;
  freeBytes(): Promise<number>;
}

export interface PartialBlob {
  /** Pieces (512 KiB) that are still missing, ascending. */
  missing(): number[];
  /** Checks a piece against its leaf and writes it; false when it is not what was signed (nothing is written). */
  write(piece: number, data: Buffer): Promise<boolean>;
  /** fsync, full check, rename into place. Throws BlobCorrupt when the digest differs; the partial is then gone. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** The supervisor, as the update engine sees it. */
export interface Workloads {
  /** Holds the device to this from now on. Returns at once; `health` tells how it goes. */
  apply(desired: DesiredServices): void;
  health(): WorkloadHealth;
}

export interface WorkloadHealth {
  /** Every desired service runs its desired spec, none is leaving. */
  isConverged: boolean;
  /** Services that stand in the way, with what they are. */
  unhealthy: { service: string; message: string }[];
  /** A service that will not get well by waiting: given up, crash-looping, image broken. */
  isFailed: boolean;
  /** The newest end of a desired service for want of memory, Unix ms; absent when there was none. */
  outOfMemory?: { service: string; at: number } | undefined;
  /** Desired services that a stop by hand keeps from running: they count neither for nor against. Absent = none. */
  held?: readonly string[] | undefined;
}

/** Events that must reach the server: kept durably until acknowledged. */
export interface Outbox {
  add(event: Omit<DeviceEvent, 'v' | 'id'>): void;
}

/** The update's durable state. */
export interface UpdateLedger {
  load(): UpdateRecord;
  /**
   * Replaces the record and queues the events for the server, in one transaction. Durable at return; false when the
   * disk did not take it and nothing has changed.
   */
  record(next: UpdateRecord, events: Omit<DeviceEvent, 'v' | 'id'>[]): boolean;
}

/** Where a release stands in its line, as the release keys say. */
export interface Standing {
  counter: number;
  /** Of the line: nothing with a lower counter may run any more. */
  floor: number;
}

export type TargetVerdict =
  | { ok: true; sha256: string; length: number; standing: Standing }
  | { ok: false; code: ReasonCode; message: string };

/** What the release keys say. */
export interface ReleaseTrust {
  /**
   * Brings the signed metadata up to date, durably, and looks a target up. `now` is trusted time, Unix milliseconds.
   * Throws SourceError when the source cannot serve the metadata.
   */
  targetOf(path: string, now: number, source: ChunkSource, signal: AbortSignal): Promise<TargetVerdict>;
  /** Brings the signed metadata up to date, durably, without looking for anything in it. Throws as above. */
  refresh(now: number, source: ChunkSource, signal: AbortSignal): Promise<RefreshVerdict>;
}

export type PlacedAgent = { ok: true } | { ok: false; code: ReasonCode; message: string };

/** The agents that releases brought, beside the one that the device came with, and which of them is to run. */
export interface AgentShelf {
  /** Which one this is. */
  readonly running: string;
  /** One that was tried and did not come up; forgotten with the next `hold`. */
  readonly failed: string | undefined;
  /** Puts an agent whole and durable on the disk, not yet to be run. Throws what the disk or the kernel says. */
  place(image: AgentImage): Promise<PlacedAgent>;
  /**
   * From the next start on this one runs; a trial only a few times until it is held for good. Durable at return; true
   * when this process has to end for it.
   */
  hold(wanted: { id: string; isTrial: boolean }): boolean;
  /** The update is being looked after: a trial that does not say so for long is ended. */
  beat(): void;
  /** Deletes every agent that is not in `keep` and does not run. */
  collect(keep: ReadonlySet<string>): Promise<void>;
}

export type Slot = 'a' | 'b';
export type SlotPart = 'boot' | 'root';

export interface SlotStatus {
  /** The slot that runs. */
  booted: Slot;
  /** The slot that boots when none is tried. */
  active: Slot;
  /** The token of the trial that this boot is; absent = it is none. */
  trialBoot?: string;
  trial?: SlotTrial;
}

/** A trial that was asked for. */
export interface SlotTrial {
  slot: Slot;
  token: string;
  /** The bootloader has taken it up, and will not do so again. */
  wasTried: boolean;
  /** How far it is known to have come: past its kernel, or to the time it was given. */
  cameTo?: 'booted' | 'not-committed';
}

export type PlacedSystem = { ok: true } | { ok: false; code: ReasonCode; message: string };

/** The two places that a board has for its system, and what its bootloader is to start. */
export interface SystemSlots {
  /** Bytes that each slot holds. */
  readonly capacity: { bootBytes: number; rootBytes: number };
  /** What the bootloader said at this boot and will do at the next. Reads a few bytes; never throws. */
  status(): SlotStatus;
  /** Fills a buffer from the booted slot, to be checked by whoever takes it. Throws what the disk says. */
  read(part: SlotPart, at: number, into: Buffer): Promise<void>;
  /** Whether a slot holds exactly this system. Reads all of it. */
  holds(slot: Slot, image: SystemImage): Promise<boolean>;
  /**
   * Puts a system into a slot, never the booted one: written, synced, and read back against its digests. What is in
   * place already is not written again. What is wrong with the image is returned; a disk that does not take it throws.
   */
  write(slot: Slot, image: SystemImage): Promise<PlacedSystem>;
  /**
   * The next boot is a trial of this slot, at most once for a token; the one after is of the active slot again. The
   * board gives the trial `seconds` to be chosen. Durable when it resolves.
   */
  tryOnce(trial: { slot: Slot; token: string; seconds: number }): Promise<void>;
  /** This slot boots from now on, and nothing is tried any more. Durable when it resolves. */
  choose(slot: Slot): Promise<void>;
}

export type RefreshVerdict =
  /** When the first of the roles that are signed anew all the time expires, Unix ms. */
  { ok: true; expiresAt: number } | { ok: false; code: ReasonCode; message: string };

/** Structured log; pino's shape. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}
