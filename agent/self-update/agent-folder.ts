import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '../../protocol/quantities.ts';
import { DISK_RESERVE_BYTES } from '../update/core/fetch-plan.ts';
import type { AgentShelf, BlobStore, PlacedAgent } from '../update/ports.ts';
import type { AgentImage } from './agent-image.ts';
import { copyImage } from './copy-image.ts';

export interface AgentFolderOptions {
  /** `<stateDir>/agent`; bin/choose-agent reads it. */
  folder: string;
  /** Where layers are mounted while they are copied. */
  mountDir: string;
  /** Which agent this process is, as bin/wherry-agent says: an id, or SHIPPED. */
  running: string;
  blobs: Pick<BlobStore, 'pathOf' | 'freeBytes'>;
}

/** The agent that the device came with: the one that the service manager starts. */
const SHIPPED = 'shipped';
/** A poll of the engine is half a second: one write in ten seconds, while a trial lasts. */
const POLLS_A_BEAT = 20;

/**
 * The agents that releases brought, each in a folder of its own, and three files that choose between them:
 * `trial` "<id> <tries>", `current` "<id>" and `failed` "<id>". Their meaning: docs/adr/0013-agent-self-update.md.
 */
export class AgentFolder implements AgentShelf {
  readonly running: string;
  readonly #options: AgentFolderOptions;
  #failed: string | undefined;
  #polls = 0;

  constructor(options: AgentFolderOptions) {
    this.#options = options;
    this.running = options.running;
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    this.#failed = this.#read('failed');
  }

  get failed(): string | undefined {
    return this.#failed;
  }

  async place(image: AgentImage): Promise<PlacedAgent> {
    const { folder, mountDir, blobs } = this.#options;
    if (existsSync(join(folder, image.id))) return { ok: true };
    const needed = image.layers.reduce((total, { size }) => total + size, DISK_RESERVE_BYTES);
    const wanting = needed - (await blobs.freeBytes());
    if (wanting > 0) {
      const message = `${formatBytes(wanting)} of disk space is wanting for the agent ${image.version}; free some`;
      return { ok: false, code: 'refused.disk', message };
    }
    const message = await copyImage(image, { folder, mountDir, pathOf: (verity) => blobs.pathOf(verity) });
    return message === undefined ? { ok: true } : { ok: false, code: 'refused.agent', message };
  }

  hold({ id, isTrial }: { id: string; isTrial: boolean }): boolean {
    this.#failed = undefined;
    if (isTrial) {
      if (this.running === id) return false;
      this.#remove('failed');
      this.#write('trial', `${id} 0`);
      return true;
    }
    const isChanged = (this.#read('current') ?? SHIPPED) !== id;
    if (isChanged && id !== SHIPPED) this.#write('current', id);
    // The trial goes last: cut before, it is tried once more or falls back to what is current by now.
    const wasTried = existsSync(this.#path('trial'));
    if (isChanged && id === SHIPPED) this.#remove('current');
    this.#remove('trial');
    this.#remove('failed');
    // Where nothing was changed, bin/choose-agent knew all this and had to start another all the same.
    return this.running !== id && (isChanged || wasTried);
  }

  beat(): void {
    // Not durable, and of no use once this process has ended.
    if (this.#polls++ % POLLS_A_BEAT === 0)
      writeFileSync(this.#path('beat'), `${process.pid} ${this.#polls}\n`, { mode: 0o600 });
  }

  async collect(keep: ReadonlySet<string>): Promise<void> {
    const { folder } = this.#options;
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      if (!entry.isDirectory() || keep.has(entry.name) || entry.name === this.running) continue;
      await rm(join(folder, entry.name), { recursive: true, force: true });
    }
  }

  #path(name: string): string {
    return join(this.#options.folder, name);
  }

  #read(name: string): string | undefined {
    try {
      return readFileSync(this.#path(name), 'utf8').split(/\s/)[0] || undefined;
    } catch {
      return undefined;
    }
  }

  /** Durable at return, the old line or the new one before. Synchronous like the ledger, whose record it follows. */
  #write(name: string, line: string): void {
    const fresh = this.#path(`${name}.new`);
    const file = openSync(fresh, 'w', 0o600);
    try {
      writeFileSync(file, `${line}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(fresh, this.#path(name));
    this.#sync();
  }

  #remove(name: string): void {
    if (!existsSync(this.#path(name))) return;
    rmSync(this.#path(name), { force: true });
    this.#sync();
  }

  #sync(): void {
    const folder = openSync(this.#options.folder, 'r');
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  }
}
