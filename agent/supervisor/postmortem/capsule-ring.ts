import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from '../../../protocol/durable-file.ts';
import { POST_MORTEM_ID, summaryOf } from '../../../protocol/post-mortem.ts';
import type { PostMortemQueue } from '../../link/ports.ts';
import type { Capsule, CapsuleContent, CapsuleSummary } from './capsule.ts';
import { CAPSULE_LIMITS, filesToDrop, fitCapsule } from './core/fit-capsule.ts';

const FILE = new RegExp(`${POST_MORTEM_ID.slice(0, -1)}\\.json$`);
const ID = new RegExp(POST_MORTEM_ID);
/** Holds the id of the newest capsule that the server has. */
const SENT = 'sent';

/**
 * Capsules in a folder, at most 32 and 1 MiB in all, the oldest of whoever has most go first. Survives reboots, as does how far the server
 * has them; a file that a power cut or a bad card left unreadable is removed when it is met.
 */
export class CapsuleRing implements PostMortemQueue {
  readonly #folder: string;
  readonly #onError: (error: unknown) => void;
  #adding: Promise<unknown> = Promise.resolve();
  #lost = 0;
  /** Names rise also when the clock stands or is set back. */
  #lastNumber: number;
  /** Capsules up to this one the server has; '' = none. */
  #sent: string;
  #onAdded: () => void = () => undefined;

  constructor(folder: string, onError: (error: unknown) => void) {
    this.#folder = folder;
    this.#onError = onError;
    this.#sweep();
    this.#sent = this.#readSent();
    const last = this.#names().at(-1) ?? '';
    this.#lastNumber = Math.max(
      ...[last, this.#sent].map((id) => Number.parseInt(id.slice(0, 12) || '0', 16)),
    );
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
      .map(summaryOf);
  }

  read(id: string): Capsule | undefined {
    const name = `${id}.json`;
    return FILE.test(name) ? this.#load(name) : undefined;
  }

  /** The oldest that the server does not have. */
  next(): Capsule | undefined {
    for (const name of this.#names()) {
      if (name.slice(0, -'.json'.length) <= this.#sent) continue;
      const capsule = this.#load(name);
      if (capsule) return capsule;
    }
    return undefined;
  }

  /** Durable once resolved, if the disk takes it: else the server is given some once more after a restart. */
  acknowledge(id: string): Promise<void> {
    if (id > this.#sent) this.#sent = id;
    const kept = this.#keepSentAfter(this.#adding).catch(this.#onError);
    this.#adding = kept;
    return kept;
  }

  onAdded(run: () => void): void {
    this.#onAdded = run;
  }

  async #keepSentAfter(before: Promise<unknown>): Promise<void> {
    await before;
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    await replaceFile(join(this.#folder, SENT), this.#sent, 0o600);
  }

  async #addAfter(before: Promise<unknown>, content: CapsuleContent): Promise<string | undefined> {
    await before;
    try {
      this.#lastNumber = Math.max(this.#lastNumber + 1, content.at);
      const id = `${this.#lastNumber.toString(16).padStart(12, '0')}-${content.service ?? 'release'}`;
      const text = fitCapsule({ v: 1, id, ...content }, Buffer.byteLength);
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      this.#makeRoom(Buffer.byteLength(text));
      await replaceFile(join(this.#folder, `${id}.json`), text, 0o600);
      this.#onAdded();
      return id;
    } catch (error) {
      this.#lost++;
      this.#sweep();
      this.#onError(error);
      return undefined;
    }
  }

  #makeRoom(bytes: number): void {
    const files = this.#names().map((name) => ({
      name,
      owner: name.slice('0123456789ab-'.length),
      bytes: statSync(join(this.#folder, name)).size,
    }));
    for (const name of filesToDrop(files, bytes)) rmSync(join(this.#folder, name), { force: true });
  }

  #readSent(): string {
    try {
      const id = readFileSync(join(this.#folder, SENT), 'utf8');
      return ID.test(id) ? id : '';
    } catch {
      return '';
    }
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
