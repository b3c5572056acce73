import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from '../../../protocol/durable-file.ts';
import type { Capsule, CapsuleContent, CapsuleSummary } from './capsule.ts';
import { CAPSULE_LIMITS, filesToDrop, fitCapsule } from './core/fit-capsule.ts';

const FILE = /^([0-9a-f]{12}-[a-z0-9-]{1,64})\.json$/;

/**
 * Capsules in a folder, at most 32 and 1 MiB in all, the oldest go first. Survives reboots; a file that a power cut or
 * a bad card left unreadable is removed when it is met.
 */
export class CapsuleRing {
  readonly #folder: string;
  readonly #onError: (error: unknown) => void;
  #adding: Promise<unknown> = Promise.resolve();
  #lost = 0;
  /** Names rise also when the clock stands or is set back. */
  #lastNumber: number;

  constructor(folder: string, onError: (error: unknown) => void) {
    this.#folder = folder;
    this.#onError = onError;
    this.#sweep();
    this.#lastNumber = Number.parseInt(this.#names().at(-1)?.slice(0, 12) ?? '0', 16);
  }

  /** Capsules that could not be kept since the start, for want of disk. */
  get lost(): number {
    return this.#lost;
  }

  /** Resolves with the id once the capsule is durable, or with undefined when the disk did not take it. Never rejects. */
  add(content: CapsuleContent): Promise<string | undefined> {
    const added = this.#addAfter(this.#adding, content);
    this.#adding = added;
    return added;
  }

  /** Newest first. */
  list(): CapsuleSummary[] {
    return this.#names()
      .toReversed()
      .flatMap((name) => this.#load(name) ?? [])
      .map(({ id, at, kind, service, release, reasons }) => ({
        id,
        at,
        kind,
        service,
        ...(release !== undefined && { release }),
        message: reasons[0]?.message ?? '',
      }));
  }

  read(id: string): Capsule | undefined {
    const name = `${id}.json`;
    return FILE.test(name) ? this.#load(name) : undefined;
  }

  async #addAfter(before: Promise<unknown>, content: CapsuleContent): Promise<string | undefined> {
    await before;
    try {
      this.#lastNumber = Math.max(this.#lastNumber + 1, content.at);
      const id = `${this.#lastNumber.toString(16).padStart(12, '0')}-${content.service}`;
      const text = fitCapsule({ v: 1, id, ...content }, Buffer.byteLength);
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      this.#makeRoom(Buffer.byteLength(text));
      await replaceFile(join(this.#folder, `${id}.json`), text, 0o600);
      return id;
    } catch (error) {
      this.#lost++;
      this.#sweep();
      this.#onError(error);
      return undefined;
    }
  }

  #makeRoom(bytes: number): void {
    const files = this.#names().map((name) => ({ name, bytes: statSync(join(this.#folder, name)).size }));
    for (const name of filesToDrop(files, bytes)) rmSync(join(this.#folder, name), { force: true });
  }

  /** Oldest first. */
  #names(): string[] {
    try {
      return readdirSync(this.#folder)
        .filter((name) => FILE.test(name))
        .sort();
    } catch {
      return [];
    }
  }

  #load(name: string): Capsule | undefined {
    const path = join(this.#folder, name);
    try {
      if (statSync(path).size > CAPSULE_LIMITS.fileBytes) throw new Error('too large');
      const capsule = JSON.parse(readFileSync(path, 'utf8')) as Capsule;
      if (capsule.v === 1 && `${capsule.id}.json` === name && Array.isArray(capsule.reasons)) return capsule;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    }
    rmSync(path, { recursive: true, force: true });
    return undefined;
  }

  /** What a power cut left of a capsule that was being written. */
  #sweep(): void {
    try {
      for (const name of readdirSync(this.#folder)) {
        if (name.endsWith('.new')) rmSync(join(this.#folder, name), { force: true });
      }
    } catch {
      // No folder yet: nothing was left.
    }
  }
}
