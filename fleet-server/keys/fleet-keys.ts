import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../../protocol/durable-file.ts';
import { KEY_CHANGES_MAX, type KeyChange, pemOf, signKeyChange } from '../../protocol/fleet-key.ts';
import { ed25519KeyFile } from './ed25519-file.ts';

/** What is durable: one file that changes as a whole. Before the first rotation there is only `fleet.pem`. */
interface Kept {
  v: 1;
  /** Name of the file with the private key in use. */
  file: string;
  changes: KeyChange[];
}

/** The key that signs assignments, and how it came to be: devices follow the chain from the key they know. */
export class FleetKeys {
  readonly #folder: string;
  #kept: Kept;
  #key: KeyObject;

  private constructor(folder: string, kept: Kept, key: KeyObject) {
    this.#folder = folder;
    this.#kept = kept;
    this.#key = key;
  }

  static async open(folder: string): Promise<FleetKeys> {
    const kept = await readKept(join(folder, 'fleet-keys.json'));
    if (kept === undefined) {
      const file = 'fleet.pem';
      return new FleetKeys(folder, { v: 1, file, changes: [] }, await ed25519KeyFile(join(folder, file)));
    }
    // A rotation that was cut off has left a key that nobody was told of.
    for (const name of await readdir(folder))
      if (/^fleet(-\d+)?\.pem$/.test(name) && name !== kept.file) await rm(join(folder, name));
    return new FleetKeys(folder, kept, createPrivateKey(await readFile(join(folder, kept.file))));
  }

  current(): KeyObject {
    return this.#key;
  }

  /** SPKI PEM. */
  publicPem(): string {
    return pemOf(this.#key);
  }

  /** Oldest first. */
  changes(): readonly KeyChange[] {
    return this.#kept.changes;
  }

  /**
   * A new key, signed by the one in use, which is deleted. Durable at return. A device that was away for more than
   * KEY_CHANGES_MAX rotations has to enrol anew.
   */
  async rotate(now: number): Promise<void> {
    const { file, changes } = this.#kept;
    const fresh = generateKeyPairSync('ed25519').privateKey;
    const name = `fleet-${now}.pem`;
    await replaceFile(join(this.#folder, name), fresh.export({ type: 'pkcs8', format: 'pem' }), 0o600);
    const kept: Kept = {
      v: 1,
      file: name,
      changes: [...changes, signKeyChange(this.#key, fresh, now)].slice(-KEY_CHANGES_MAX),
    };
    await replaceFile(join(this.#folder, 'fleet-keys.json'), JSON.stringify(kept), 0o600);
    this.#kept = kept;
    this.#key = fresh;
    await rm(join(this.#folder, file));
  }
}

async function readKept(path: string): Promise<Kept | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Kept;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error(`Cannot read ${path}: ${String(error)}; restore it, devices follow the chain in it`, {
      cause: error,
    });
  }
}
