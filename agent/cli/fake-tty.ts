import { PassThrough } from 'node:stream';
import type { Terminal } from './io.ts';

/** A terminal that remembers how it was left; keys are typed with `type`. */
export class FakeTty implements Terminal {
  readonly stdin = new PassThrough();
  columns = 80;
  rows = 24;
  isRaw = false;
  isOwnScreen = false;
  readonly #watchers = new Set<() => void>();

  size(): { columns: number; rows: number } {
    return { columns: this.columns, rows: this.rows };
  }

  watchSize(onChange: () => void): () => void {
    this.#watchers.add(onChange);
    return () => this.#watchers.delete(onChange);
  }

  setRaw(isRaw: boolean): void {
    this.isRaw = isRaw;
  }

  setScreen(isOwn: boolean): void {
    this.isOwnScreen = isOwn;
  }

  resize(columns: number, rows: number): void {
    Object.assign(this, { columns, rows });
    for (const tell of this.#watchers) tell();
  }

  type(keys: string): void {
    this.stdin.write(keys);
  }

  get watchers(): number {
    return this.#watchers.size;
  }
}
