import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile, syncFolder } from '../../../protocol/durable-file.ts';
import { SECRET_BYTES } from './limits.ts';

const CIPHER = 'aes-256-gcm';
const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/**
 * Secrets of this device, one file each: version byte, nonce, tag, AES-256-GCM text, with the name as associated data
 * so that one cannot be put in another's place. The key never leaves the device and no backup of the folder holds it.
 */
export class SecretStore {
  readonly #folder: string;
  readonly #keyPath: string;
  #key: Promise<Buffer> | undefined;

  constructor(stateDir: string) {
    this.#folder = join(stateDir, 'secrets');
    this.#keyPath = join(stateDir, 'secrets.key');
  }

  /** Durable at return; replaces one of the same name. Throws what `secretFault` finds. */
  async put(name: string, content: Uint8Array): Promise<void> {
    check(name, content);
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, await this.#openKey(), nonce).setAAD(Buffer.from(name));
    const sealed = Buffer.concat([cipher.update(content), cipher.final()]);
    const file = Buffer.concat([Buffer.of(VERSION), nonce, cipher.getAuthTag(), sealed]);
    await replaceFile(join(this.#folder, name), file, 0o600);
  }

  /** Names, sorted; never contents. */
  async list(): Promise<string[]> {
    const names = await readdir(this.#folder).catch(absent([]));
    return names.filter((name) => secretFault(name) === undefined).sort();
  }

  /** Whether there was one. Durable at return. */
  async remove(name: string): Promise<boolean> {
    check(name);
    // A power cut leaves what was being put beside it.
    const both = [name, `${name}.new`];
    const present = (await readdir(this.#folder).catch(absent([]))).filter((file) => both.includes(file));
    if (present.length === 0) return false;
    for (const file of present) await rm(join(this.#folder, file));
    await syncFolder(this.#folder);
    return present.includes(name);
  }

  /** undefined when there is none. Throws when it is not what this device sealed. */
  async open(name: string): Promise<Buffer | undefined> {
    check(name);
    const file = await readFile(join(this.#folder, name)).catch(absent(undefined));
    if (file === undefined) return undefined;
    try {
      if (file[0] !== VERSION) throw new Error(`its format is ${file[0]}`);
      const text = 1 + NONCE_BYTES + TAG_BYTES;
      const cipher = createDecipheriv(CIPHER, await this.#openKey(), file.subarray(1, 1 + NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      cipher.setAAD(Buffer.from(name)).setAuthTag(file.subarray(1 + NONCE_BYTES, text));
      return Buffer.concat([cipher.update(file.subarray(text)), cipher.final()]);
    } catch (cause) {
      const message = `Cannot open secret "${name}": it is damaged or was sealed by another device; put it again`;
      throw new Error(message, { cause });
    }
  }

  #openKey(): Promise<Buffer> {
    this.#key ??= this.#readOrMakeKey();
    return this.#key;
  }

  async #readOrMakeKey(): Promise<Buffer> {
    const present = await readFile(this.#keyPath).catch(absent(undefined));
    if (present?.length === 32) return present;
    if (present !== undefined)
      throw new Error(
        `Cannot open the device's secrets: ${this.#keyPath} is not a key; remove it and put them again`,
      );
    const key = randomBytes(32);
    await replaceFile(this.#keyPath, key, 0o600);
    return key;
  }
}

/** Why no secret can have this name or content, in one sentence; undefined when it can. */
export function secretFault(name: string, content?: Uint8Array): string | undefined {
  if (!NAME.test(name) || name.endsWith('.new'))
    return `Cannot use secret "${name}": its name must be lower case letters, digits, dots and dashes, at most 64, and not end in .new`;
  if (content?.length === 0)
    return `Cannot keep secret "${name}": it is empty; give it content, or remove it`;
  if (content && content.length > SECRET_BYTES)
    return `Cannot keep secret "${name}": it has ${content.length} bytes; wanted at most ${SECRET_BYTES}`;
  return undefined;
}

function check(name: string, content?: Uint8Array): void {
  const fault = secretFault(name, content);
  if (fault !== undefined) throw new Error(fault);
}

const absent =
  <T>(instead: T) =>
  (error: NodeJS.ErrnoException): T => {
    if (error.code === 'ENOENT') return instead;
    throw error;
  };
