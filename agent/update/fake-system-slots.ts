import type { SystemImage } from '../system-slots/system-image.ts';
import type { PlacedSystem, Slot, SlotStatus, SystemSlots } from './ports.ts';

/** A board's slots and its bootloader, in memory; a test says what the disk does, and reboots it. */
export class FakeSystemSlots implements SystemSlots {
  readonly capacity = { bootBytes: 1024 ** 2, rootBytes: 1024 ** 2 };
  /** Ids of what the slots hold. */
  readonly held: Record<Slot, string> = { a: 'shipped', b: 'nothing' };
  readonly written: string[] = [];
  /** Ids of systems that do not come up as far as their agent. */
  readonly broken = new Set<string>();
  /** What the disk says to the next writes. */
  fault: Error | undefined;
  #status: SlotStatus = { booted: 'a', active: 'a' };

  status(): SlotStatus {
    return this.#status;
  }

  async read(): Promise<void> {}

  async holds(slot: Slot, { id }: SystemImage): Promise<boolean> {
    return this.held[slot] === id;
  }

  async write(slot: Slot, { id }: SystemImage): Promise<PlacedSystem> {
    if (this.fault) throw this.fault;
    if (slot === this.#status.booted) throw new Error(`Cannot write slot ${slot}: it is booted`);
    this.held[slot] = id;
    this.written.push(`${id} to ${slot}`);
    return { ok: true };
  }

  async tryOnce({ slot, token }: { slot: Slot; token: string }): Promise<void> {
    if (this.fault) throw this.fault;
    this.#status = { ...this.#status, trial: { slot, token, wasTried: false } };
  }

  async choose(slot: Slot): Promise<void> {
    if (this.fault) throw this.fault;
    const { trial: _trial, ...status } = this.#status;
    this.#status = { ...status, active: slot };
  }

  /** What the bootloader does, until a system comes up. */
  reboot(): void {
    const { active, trial } = this.#status;
    const seen = trial && { ...trial, wasTried: true };
    if (trial && !trial.wasTried && !this.broken.has(this.held[trial.slot]))
      this.#status = {
        booted: trial.slot,
        active,
        trial: { ...trial, wasTried: true },
        trialBoot: trial.token,
      };
    else this.#status = { booted: active, active, ...(seen && { trial: seen }) };
  }
}
