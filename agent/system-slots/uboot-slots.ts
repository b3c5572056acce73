import { closeSync, fsyncSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { CHOICE_SECTOR, SECTOR, TRIES_SECTOR } from '../../boards/layout.ts';
import { decodeEnvironment, encodeEnvironment } from '../../boards/uboot/environment.ts';
import type { PlacedSystem, Slot, SlotPart, SlotStatus, SystemSlots } from '../update/ports.ts';
import { holdsSystem, readPart, SLOT_CAPACITY, type SlotPlace, writeSystem } from './slot-content.ts';
import type { SystemImage } from './system-image.ts';

export interface UbootSlotsOptions extends SlotPlace {
  /** What the boot script put on the kernel's command line. */
  booted: Slot;
  trialBoot: string | undefined;
  /** Where the guard of a trial writes "<token> <how far it came>". */
  guardFile: string;
}

const TOKEN = /^[0-9a-zA-Z-]{1,32}$/;

/** Slots that U-Boot's boot script chooses by two sectors of the disk: "choice" is ours, "tries" is the script's. */
export class UbootSlots implements SystemSlots {
  readonly capacity = SLOT_CAPACITY;
  readonly #options: UbootSlotsOptions;
  /** U-Boot writes before the kernel runs, and nobody else writes: what was read at the start stands. */
  #status: SlotStatus;

  constructor(options: UbootSlotsOptions) {
    this.#options = options;
    this.#status = readStatus(options);
  }

  status(): SlotStatus {
    return this.#status;
  }

  read(part: SlotPart, at: number, into: Buffer): Promise<void> {
    return readPart(this.#status.booted, part, { at, into }, this.#options.disk);
  }

  holds(slot: Slot, image: SystemImage): Promise<boolean> {
    return holdsSystem(slot, image, this.#options);
  }

  async write(slot: Slot, image: SystemImage): Promise<PlacedSystem> {
    if (slot === this.#status.booted) throw new Error(`Cannot write slot ${slot}: it is the one that runs`);
    return writeSystem(slot, image, this.#options);
  }

  async tryOnce({ slot, token, seconds }: { slot: Slot; token: string; seconds: number }): Promise<void> {
    const { active } = this.#status;
    this.#write({ active, trial: slot, token, seconds: String(seconds) });
    const wasTried = this.#status.trial?.token === token && this.#status.trial.wasTried;
    this.#status = { ...this.#status, trial: { slot, token, wasTried } };
  }

  async choose(slot: Slot): Promise<void> {
    this.#write({ active: slot, trial: '', token: '' });
    const { trial: _trial, ...status } = this.#status;
    this.#status = { ...status, active: slot };
  }

  /** One sector, which a medium writes whole or not at all. Durable at return. */
  #write(variables: Record<string, string>): void {
    const disk = openSync(this.#options.disk, 'r+');
    try {
      writeSync(disk, encodeEnvironment(variables, SECTOR), 0, SECTOR, CHOICE_SECTOR * SECTOR);
      fsyncSync(disk);
    } finally {
      closeSync(disk);
    }
  }
}

/** Read as the boot script reads it: what has no right checksum is as if it were not there. */
function readStatus({ disk, booted, trialBoot, guardFile }: UbootSlotsOptions): SlotStatus {
  const { active, trial, token = '' } = readSector(disk, CHOICE_SECTOR);
  const status: SlotStatus = {
    booted,
    active: active === 'b' ? 'b' : 'a',
    ...(trialBoot !== undefined && { trialBoot }),
  };
  if ((trial !== 'a' && trial !== 'b') || !TOKEN.test(token)) return status;
  const wasTried = readSector(disk, TRIES_SECTOR)['tried'] === token;
  const cameTo = readGuard(guardFile, token);
  return { ...status, trial: { slot: trial, token, wasTried, ...(cameTo && { cameTo }) } };
}

/** Nothing of it when the disk cannot be read: what is wrong with that disk shows at the first write. */
function readSector(path: string, sector: number): Record<string, string> {
  const block = Buffer.alloc(SECTOR);
  try {
    const disk = openSync(path, 'r');
    try {
      readSync(disk, block, 0, SECTOR, sector * SECTOR);
    } finally {
      closeSync(disk);
    }
  } catch {
    return {};
  }
  return decodeEnvironment(block) ?? {};
}

function readGuard(path: string, token: string): 'booted' | 'not-committed' | undefined {
  try {
    const [said, word] = readFileSync(path, 'utf8').trim().split(' ');
    return said === token && (word === 'booted' || word === 'not-committed') ? word : undefined;
  } catch {
    return undefined;
  }
}
