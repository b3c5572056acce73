import type { Manifest } from '../../protocol/manifest.ts';
import type { Clock } from '../supervisor/ports.ts';
import { type SystemImage, systemImageOf } from '../system-slots/system-image.ts';
import { systemWanted, type UpdateRecord, type WantedSystem } from './core/record.ts';
import { type BootReason, type SystemFacts, UPDATE_RULES } from './core/transition.ts';
import { isStuck } from './core/trial.ts';
import { parseManifest } from './desired-services.ts';
import type { Log, PlacedSystem, Slot, SystemSlots } from './ports.ts';

export interface SystemSwitchOptions {
  /** Undefined: the board has none. */
  slots: SystemSlots | undefined;
  board: string;
  /** Of this boot. */
  boot: { id: string; reason: BootReason | undefined };
  /** Fresh with each call. */
  token(): string;
  clock: Clock;
  log: Log;
  /** Between attempts that the disk or the board did not take. */
  heldMs: number;
  record(): UpdateRecord;
  /** Reboots in order. Resolves when the board is about to; throws why it is not. */
  reboot(reason: string): Promise<void>;
  /** The board is rebooting: nothing more is to be done by this process. */
  onLeave(): void;
}

/** What a board gives the first start of its system and its agent beyond what the release has for itself. */
const START_MS = 300_000;
const other = (slot: Slot): Slot => (slot === 'a' ? 'b' : 'a');

/** The board's own part of an update: its system is put into the other slot, tried, and stays or goes. */
export class SystemSwitch {
  readonly #options: SystemSwitchOptions;
  #work: Promise<unknown> = Promise.resolve();
  #cancel: (() => void) | undefined;
  /** Of the newest call of `turn`: one that was overtaken does nothing more. */
  #turns = 0;
  #isHeld = false;
  #isStopped = false;

  constructor(options: SystemSwitchOptions) {
    this.#options = options;
  }

  context(): SystemFacts | undefined {
    const { slots, boot, token } = this.#options;
    return slots && { ...slots.status(), bootId: boot.id, bootReason: boot.reason, freshToken: token() };
  }

  /** The system that is to run does not run yet: agent and services wait for it. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** What a release brings lies in a slot, whole, when it is ready to switch. Resolves with that slot, if any. */
  async place(
    manifest: Manifest,
  ): Promise<(PlacedSystem & { ok: false }) | { ok: true; slot: Slot | undefined }> {
    const { slots, board, record } = this.#options;
    const image = systemImageOf(manifest, board);
    if (image === undefined) return { ok: true, slot: undefined };
    if (slots === undefined) return refuse('this device has no slots for a system');
    const { booted } = slots.status();
    const { system } = record();
    if (system?.id === image.id && system.slot === booted) return { ok: true, slot: booted };
    const placed = this.#work.then(() => placeIn(slots, booted, image));
    this.#work = placed.catch(() => undefined);
    return placed.catch((error: Error) => refuse(error.message));
  }

  /** True when the system that is to run is this one. Else nothing more is to be done now; `then` later, if at all. */
  turn(then: () => void): boolean {
    const { slots, record } = this.#options;
    this.#cancel?.();
    this.#cancel = undefined;
    const turn = ++this.#turns;
    const wanted = systemWanted(record());
    this.#isHeld = slots !== undefined && wanted !== undefined && !this.#isSettled(slots, wanted);
    if (!this.#isHeld || slots === undefined || wanted === undefined) return true;
    const isOver = () => turn !== this.#turns || this.#isStopped;
    this.#work = this.#work.then(() => (isOver() ? undefined : this.#bring(slots, wanted, then)));
    return false;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel?.();
    await this.#work;
  }

  #isSettled(slots: SystemSlots, wanted: WantedSystem): boolean {
    const status = slots.status();
    if (wanted.isTrial) return status.trialBoot === wanted.token;
    if (status.booted === wanted.slot) return status.active === wanted.slot && status.trial === undefined;
    return isStuck(wanted, { ...status, bootId: this.#options.boot.id });
  }

  async #bring(slots: SystemSlots, wanted: WantedSystem, then: () => void): Promise<void> {
    try {
      await this.#tell(slots, wanted, then);
    } catch (error) {
      this.#again(error instanceof Error ? error : new Error(String(error)), then);
    }
  }

  async #tell(slots: SystemSlots, wanted: WantedSystem, then: () => void): Promise<void> {
    const { booted, active } = slots.status();
    const { id, slot } = wanted;
    if (wanted.isTrial) {
      await slots.tryOnce({ slot, token: wanted.token, seconds: this.#seconds() });
      return this.#reboot(`Tries system ${id} in slot ${slot}`);
    }
    // The slot that boots anyway was left as it is; any other may have been written to since.
    if (booted !== slot && active !== slot) await this.#restore(slots, wanted);
    await slots.choose(slot);
    if (booted !== slot) return this.#reboot(`Goes back to system ${id} in slot ${slot}`);
    this.#isHeld = false;
    if (!this.#isStopped) then();
  }

  /** What its release brings is in its blobs still; one that no release here brings was not written over (core/trial.ts). */
  async #restore(slots: SystemSlots, { id, slot }: WantedSystem): Promise<void> {
    const { record, board } = this.#options;
    const { current, previous } = record();
    const manifests = [current, previous].map((release) => parseManifest(release?.manifest));
    const images = manifests.map((manifest) => manifest && systemImageOf(manifest, board));
    const image = images.find((each) => each?.id === id);
    const placed = image && (await slots.write(slot, image));
    if (placed?.ok === false) throw new Error(placed.message);
  }

  async #reboot(reason: string): Promise<void> {
    const { log, reboot, onLeave } = this.#options;
    log.info({ reason }, `Rebooting: ${reason}`);
    await reboot(reason);
    onLeave();
  }

  #again(error: Error, then: () => void): void {
    const { clock, log, heldMs } = this.#options;
    log.warn({ error }, `Cannot bring the system that is to run: ${error.message}; trying again`);
    if (!this.#isStopped) this.#cancel = clock.after(heldMs, () => this.turn(then) && then());
  }

  /** As long as the release may take to commit, and its system to start. */
  #seconds(): number {
    const { soakMs = 0, mustReach } = this.#options.record().incoming ?? {};
    const { settleMs, reachMs } = UPDATE_RULES;
    return Math.ceil((START_MS + settleMs + 3 * soakMs + (mustReach ? reachMs : 0)) / 1000);
  }
}

async function placeIn(
  slots: SystemSlots,
  booted: Slot,
  image: SystemImage,
): Promise<(PlacedSystem & { ok: false }) | { ok: true; slot: Slot }> {
  if (await slots.holds(booted, image)) return { ok: true, slot: booted };
  const slot = other(booted);
  const placed = await slots.write(slot, image);
  return placed.ok ? { ok: true, slot } : placed;
}

const refuse = (message: string): PlacedSystem & { ok: false } => ({
  ok: false,
  code: 'refused.system',
  message,
});
