import { readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { LoadedTrust, TrustedMetadata, TrustedTexts } from '../../agent/update/tuf/ports.ts';
import { replaceFile, syncFolder } from '../../protocol/durable-file.ts';
import { quoteRole, unquoteRole } from './role-names.ts';

const TOP_LEVEL = ['root', 'timestamp', 'snapshot', 'targets'] as const;

/** Trusted metadata as one file a role, `<role>.json`, as the conformance suite looks at it. */
export class MetadataFolder implements TrustedMetadata {
  readonly #folder: string;
  #stored: Record<string, string> = {};
  constructor(folder: string) {
    this.#folder = folder;
  }

  async load(): Promise<LoadedTrust> {
    this.#stored = {};
    for (const file of await readdir(this.#folder)) {
      const role = file.endsWith('.json') ? unquoteRole(file.slice(0, -'.json'.length)) : undefined;
      if (role !== undefined) this.#stored[role] = await readFile(join(this.#folder, file), 'utf8');
    }
    const { root, timestamp, snapshot, targets, ...delegated } = this.#stored;
    if (root === undefined) throw new Error(`Cannot read ${this.#folder}: it holds no root.json; run init`);
    return { texts: { root, timestamp, snapshot, targets, delegated }, origin: 'stored' };
  }

  async save(texts: TrustedTexts): Promise<void> {
    const wanted: Record<string, string> = { ...texts.delegated };
    for (const role of TOP_LEVEL) if (texts[role] !== undefined) wanted[role] = texts[role];
    for (const [role, text] of Object.entries(wanted))
      if (this.#stored[role] !== text) await replaceFile(this.#pathOf(role), text);
    const gone = Object.keys(this.#stored).filter((role) => !Object.hasOwn(wanted, role));
    for (const role of gone) await unlink(this.#pathOf(role));
    if (gone.length > 0) await syncFolder(this.#folder);
    this.#stored = wanted;
  }

  #pathOf(role: string): string {
    return join(this.#folder, `${quoteRole(role)}.json`);
  }
}
