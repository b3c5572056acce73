import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { listSegments, type Segment, segmentName } from './segments.ts';

const EARLY_BYTES = 64 * 1024;
/** Of the whole size: what is lost when the oldest segment goes. */
const SEGMENTS = 4;

/** Written at once: what is lost at most of what still had room on a disk that fills up. */
const PIECE_BYTES = 16 * 1024;

interface KeptSegment extends Segment {
  bytes: number;
}

/** A service's log on disk: numbered segments that together never exceed a size. No write is synced. */
export class LogFolder {
  readonly #folder: string;
  readonly #segments: KeptSegment[];
  #sizeBytes: number;

  constructor(folder: string, sizeBytes: number) {
    this.#folder = folder;
    this.#sizeBytes = sizeBytes;
    this.#segments = listSegments(folder).map((segment) => ({
      ...segment,
      bytes: statSync(join(folder, segment.name)).size,
    }));
  }

  get keptBytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Unix ms of its last line; 0 when there is none. */
  get writtenAt(): number {
    const last = this.#segments.at(-1);
    if (last === undefined) return 0;
    return statSync(join(this.#folder, last.name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  }

  /** Whether the log's newest lines are of another specification. */
  isNew(specDigest: string): boolean {
    try {
      return readFileSync(join(this.#folder, 'specification'), 'utf8') !== specDigest;
    } catch {
      return true;
    }
  }

  /** From now on lines of this specification, held to this size. Resolves a full disk by doing without early lines. */
  begin(specDigest: string, sizeBytes: number): void {
    this.#sizeBytes = sizeBytes;
    if (!this.isNew(specDigest)) return;
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      writeFileSync(join(this.#folder, 'specification'), specDigest);
      this.#add(true);
    } catch {
      // The lines themselves are tried again, and counted, with each write.
    }
  }

  /** Appends whole lines. Returns how many bytes of them the disk did not take. */
  append(lines: Buffer): number {
    let start = 0;
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      while (start < lines.length) {
        const end = endOfPiece(lines, start, Math.min(PIECE_BYTES, this.#segmentBytes));
        this.#write(lines.subarray(start, end));
        start = end;
      }
    } catch {
      // Whatever the reason, the lines are not there.
    }
    return lines.length - start;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
    this.#segments.length = 0;
  }

  get #segmentBytes(): number {
    return Math.floor(this.#sizeBytes / SEGMENTS);
  }

  #write(piece: Buffer): void {
    let last = this.#segments.at(-1);
    const most = last?.isEarly === true ? Math.min(EARLY_BYTES, this.#segmentBytes) : this.#segmentBytes;
    if (last === undefined || last.bytes + piece.length > most) last = this.#add(false);
    this.#makeRoom(piece.length);
    const file = openSync(join(this.#folder, last.name), 'a', 0o600);
    try {
      const written = writeSync(file, piece);
      if (written < piece.length) throw new Error('Cannot write the log: the disk is full; free some of it');
      last.bytes += piece.length;
    } catch (error) {
      // Half a line would be joined to the next one.
      ftruncateSync(file, last.bytes);
      throw error;
    } finally {
      closeSync(file);
    }
  }

  #add(isEarly: boolean): KeptSegment {
    const number = (this.#segments.at(-1)?.number ?? 0) + 1;
    const name = segmentName(number, isEarly);
    closeSync(openSync(join(this.#folder, name), 'a', 0o600));
    const segment = { number, name, isEarly, bytes: 0 };
    this.#segments.push(segment);
    return segment;
  }

  /** The oldest go, but neither the newest early lines nor the segment that is written. */
  #makeRoom(bytes: number): void {
    const early = this.#segments.findLast(({ isEarly }) => isEarly);
    while (this.keptBytes + bytes > this.#sizeBytes) {
      const index = this.#segments.findIndex((segment) => segment !== early);
      const oldest = this.#segments[index];
      if (oldest === undefined || index === this.#segments.length - 1) return;
      rmSync(join(this.#folder, oldest.name), { force: true });
      this.#segments.splice(index, 1);
    }
  }
}

/** Where a piece of at most `most` bytes ends: behind a line, or amid one that is longer. */
function endOfPiece(lines: Buffer, start: number, most: number): number {
  if (lines.length - start <= most) return lines.length;
  const newline = lines.subarray(start, start + most).lastIndexOf(10);
  return newline < 0 ? start + most : start + newline + 1;
}
