import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '../../../protocol/canonical.ts';
import { replaceFile } from '../../../protocol/durable-file.ts';
import type { LoadedTrust, TrustedMetadata, TrustedTexts } from './ports.ts';

interface Slot {
  sequence: number;
  texts: TrustedTexts;
}

const SLOTS = ['trust-a.json', 'trust-b.json'] as const;

/**
 * Two slots written in turn, each with a sequence and a checksum: a write cut short costs the newest state only, and
 * the slot before it still holds the rollback floor.
 */
export class TrustStore implements TrustedMetadata {
  readonly #folder: string;
  readonly #factoryRoot: string;
  #sequence = 0;

  constructor({ folder, factoryRoot }: { folder: string; factoryRoot: string }) {
    this.#folder = folder;
    this.#factoryRoot = factoryRoot;
  }

  async load(): Promise<LoadedTrust> {
    const read = await Promise.all(SLOTS.map((name) => readSlot(join(this.#folder, name))));
    const slots = read.filter((slot) => typeof slot === 'object').sort((a, b) => b.sequence - a.sequence);
    const newest = slots[0];
    if (newest) {
      this.#sequence = newest.sequence;
      return { texts: newest.texts, origin: 'stored' };
    }
    const root = await readFile(this.#factoryRoot, 'utf8').catch((cause: Error) => {
      throw new Error(`Cannot read the factory root metadata: ${cause.message}`, { cause });
    });
    return { texts: { root }, origin: read.includes('damaged') ? 'factory-after-loss' : 'factory' };
  }

  /** Durable at return. */
  async save(texts: TrustedTexts): Promise<void> {
    const sequence = this.#sequence + 1;
    const body = JSON.stringify({ sequence, texts });
    const name = SLOTS[sequence % 2 === 0 ? 0 : 1];
    await replaceFile(join(this.#folder, name), JSON.stringify({ v: 1, sha256: sha256Hex(body), body }));
    this.#sequence = sequence;
  }
}

async function readSlot(path: string): Promise<Slot | 'absent' | 'damaged'> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'absent' : 'damaged';
  }
  try {
    const { v, sha256, body } = JSON.parse(text) as { v: number; sha256: string; body: string };
    return v === 1 && sha256Hex(body) === sha256 ? (JSON.parse(body) as Slot) : 'damaged';
  } catch {
    return 'damaged';
  }
}
