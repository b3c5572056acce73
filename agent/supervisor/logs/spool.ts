import { closeSync, fstatSync, openSync, readSync, statSync, writeSync } from 'node:fs';

/** How far a spool was read: what outlives the agent. */
export interface SpoolPosition {
  inode: number;
  offset: number;
  /** conmon that wrote it. */
  monitor: number;
  /** Of the bytes that this conmon has written, those that were read or are known to be lost. */
  accounted: number;
}

/** What conmon has written in all, by the kernel's count. */
export type MonitorWritten = () => { pid: number; bytes: number } | undefined;

const READ_BYTES = 64 * 1024;
/** conmon and the runtime it calls write a little that is not log: less than this is no loss. */
const NOISE_BYTES = 16 * 1024;

/**
 * conmon's log as a spool. conmon puts an empty file in its place when it is full; the full one is read to its end
 * as long as it is held open, and those that came and went in between are counted by what conmon wrote in all.
 */
export class Spool {
  readonly #path: string;
  readonly #written: MonitorWritten;
  readonly #buffer = Buffer.allocUnsafe(READ_BYTES);
  #file: number | undefined;
  position: SpoolPosition;

  constructor(path: string, written: MonitorWritten, position: SpoolPosition | undefined) {
    this.#path = path;
    this.#written = written;
    this.position = position ?? { inode: 0, offset: 0, monitor: 0, accounted: 0 };
  }

  /** Gives whole lines, at most so many bytes of them, and tells of what was lost before them. Returns the bytes. */
  read(most: number, onLines: (lines: Buffer) => void, onLost: (bytes: number) => void): number {
    if (this.#isIdle()) return 0;
    let total = 0;
    this.#file ??= this.#open(onLost);
    while (this.#file !== undefined) {
      const isOld = this.#isReplaced(this.#file);
      total += this.#readHeld(this.#file, most - total, onLines);
      // What is left in a file that is still written waits; so does a full one when the allowance is used up.
      if (!isOld || this.#hasMoreLines(this.#file)) break;
      this.close();
      this.#file = this.#open(onLost);
    }
    if (total > 0) this.#calibrate();
    return total;
  }

  /**
   * Makes the file if there is none and holds it, so that its lines are not lost however soon it is replaced. `mark`: a
   * line that parts what was written before from what comes.
   */
  hold(mark: string): void {
    const file = openSync(this.#path, 'a', 0o600);
    try {
      writeSync(file, mark);
    } finally {
      closeSync(file);
    }
    this.#file ??= this.#open(() => undefined);
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #open(onLost: (bytes: number) => void): number | undefined {
    const written = this.#written();
    const file = openIfThere(this.#path);
    if (file === undefined) return undefined;
    const { ino, size } = fstatSync(file);
    const { position } = this;
    if (position.inode === ino && position.offset <= size) return file;
    const isFirst = position.inode === 0;
    position.inode = ino;
    position.offset = 0;
    const isSame = written?.pid === position.monitor;
    const lost = (written?.bytes ?? 0) - (isSame ? position.accounted : 0) - size;
    if (lost > (isSame && !isFirst ? 0 : NOISE_BYTES)) onLost(lost);
    return file;
  }

  #readHeld(file: number, most: number, onLines: (lines: Buffer) => void): number {
    let total = 0;
    while (total < most) {
      const count = readSync(file, this.#buffer, 0, Math.min(READ_BYTES, most - total), this.position.offset);
      const end = this.#buffer.subarray(0, count).lastIndexOf(10) + 1;
      if (end === 0) break;
      onLines(this.#buffer.subarray(0, end));
      this.position.offset += end;
      this.position.accounted += end;
      total += end;
    }
    return total;
  }

  #hasMoreLines(file: number): boolean {
    const count = readSync(file, this.#buffer, 0, READ_BYTES, this.position.offset);
    return this.#buffer.subarray(0, count).includes(10);
  }

  /** The usual case, many times a second: one look must do. */
  #isIdle(): boolean {
    const now = statSync(this.#path, { throwIfNoEntry: false });
    return now === undefined || (now.ino === this.position.inode && now.size === this.position.offset);
  }

  #isReplaced(file: number): boolean {
    const now = statSync(this.#path, { throwIfNoEntry: false });
    return now !== undefined && now.ino !== fstatSync(file).ino;
  }

  /** As long as the file in place is the one that is read, nothing more is lost. */
  #calibrate(): void {
    const written = this.#written();
    if (written === undefined || this.#file === undefined || this.#isReplaced(this.#file)) return;
    this.position.monitor = written.pid;
    this.position.accounted = written.bytes - (fstatSync(this.#file).size - this.position.offset);
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
