import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import type { Owned } from './core/state.ts';
import { feed } from './feed.ts';
import { replaceFile } from './state-file.ts';

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The two nftables tables of an instance. `mark` is a file that remembers how the kernel listed them when they were set. */
export class Rules {
  readonly #owned: Owned;
  readonly #mark: string;
  #applied: string | undefined;

  constructor(owned: Owned, mark: string) {
    this.#owned = owned;
    this.#mark = mark;
  }

  /** One transaction: the old rules or the new ones hold, nothing between. */
  async apply(text: string): Promise<void> {
    this.#applied = undefined;
    await feed('nft', ['-f', '-'], text);
    replaceFile(this.#mark, digestOf((await this.#listed()) ?? ''));
    this.#applied = text;
  }

  /** Applies what this object has not just applied itself. */
  async ensure(text: string): Promise<void> {
    if (this.#applied !== text) await this.apply(text);
  }

  /** Whether the kernel holds what was last applied, rule by rule. */
  async areWhole(): Promise<boolean> {
    const listed = await this.#listed();
    return (
      listed !== undefined && existsSync(this.#mark) && readFileSync(this.#mark, 'utf8') === digestOf(listed)
    );
  }

  async remove(): Promise<void> {
    this.#applied = undefined;
    const { table } = this.#owned;
    const drop = (family: string): string =>
      `table ${family} ${table} {\n}\ndelete table ${family} ${table}\n`;
    await feed('nft', ['-f', '-'], `${drop('inet')}${drop('bridge')}`);
  }

  /** Without counters; undefined when a table is gone. */
  async #listed(): Promise<string | undefined> {
    const { table } = this.#owned;
    try {
      const list = (family: string): Promise<string> => feed('nft', ['-s', 'list', 'table', family, table]);
      return (await Promise.all([list('inet'), list('bridge')])).join('');
    } catch {
      return undefined;
    }
  }
}
