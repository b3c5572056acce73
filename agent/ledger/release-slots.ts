import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256Hex } from '../../protocol/canonical.ts';
import type { UpdateRecord } from '../update/core/record.ts';

const SLOTS = ['a.json', 'b.json'] as const;

interface Slot {
  v: 1;
  /** The slot with the higher one is newer. */
  sequence: number;
  /** Of `record`. */
  sha256: string;
  /** An UpdateRecord as JSON text. */
  record: string;
}

/**
 * The update record once more, outside the database: two files, written in turn, so that a cut write spoils only the
 * older one. Synchronous like the ledger, whose commit it follows.
 */
export class ReleaseSlots {
  readonly #folder: string;
  #sequence = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The newest record that is whole. Never throws: what cannot be read is not there. */
  load(): UpdateRecord | undefined {
    const whole = SLOTS.map((name) => readSlot(join(this.#folder, name))).filter(
      (slot) => slot !== undefined,
    );
    const newest = whole.toSorted((a, b) => b.sequence - a.sequence)[0];
    this.#sequence = newest?.sequence ?? 0;
    return newest && (JSON.parse(newest.record) as UpdateRecord);
  }

  /** Durable at return. Throws what the file system says. */
  save(record: UpdateRecord): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const text = JSON.stringify(record);
    const sequence = this.#sequence + 1;
    const slot: Slot = { v: 1, sequence, sha256: sha256Hex(text), record: text };
    const file = openSync(join(this.#folder, SLOTS[sequence % 2 === 0 ? 0 : 1]), 'w', 0o600);
    try {
      writeFileSync(file, JSON.stringify(slot));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    syncFolder(this.#folder);
    this.#sequence = sequence;
  }
}

function readSlot(path: string): Slot | undefined {
  try {
    const slot = JSON.parse(readFileSync(path, 'utf8')) as Slot;
    return slot.v === 1 && sha256Hex(slot.record) === slot.sha256 ? slot : undefined;
  } catch {
    return undefined;
  }
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
