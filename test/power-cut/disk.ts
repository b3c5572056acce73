import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;
export const DISK_BYTES = 48 * MIB;
export const BLOCK_BYTES = 4096;
/** Compared at a time. */
const STRIDE_BYTES = 256 * 1024;
const EMPTY = Buffer.alloc(STRIDE_BYTES);

/** What was written between two looks at a disk, by block number. */
export type Delta = ReadonlyMap<number, Buffer>;

/** Disks as files in memory, mounted as ext4 over loop devices: what a file holds is what a real disk would hold. */
export class DiskBench {
  readonly folder: string;
  readonly #mounts = new Set<string>();
  #count = 0;

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'wherry-power-cut-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2g', 'wherry-power-cut', this.folder]);
  }

  /** A disk with an empty ext4; nothing on it is written behind the caller's back. */
  make(): string {
    const image = join(this.folder, `${++this.#count}.img`);
    execFileSync('truncate', ['-s', String(DISK_BYTES), image]);
    const eager = 'lazy_itable_init=0,lazy_journal_init=0';
    execFileSync('mkfs.ext4', [
      '-q',
      '-F',
      '-b',
      `${BLOCK_BYTES}`,
      '-m',
      '0',
      '-J',
      'size=4',
      '-E',
      eager,
      image,
    ]);
    return image;
  }

  /** A disk with this content. */
  put(content: Buffer): string {
    const image = join(this.folder, `${++this.#count}.img`);
    const file = openSync(image, 'w');
    ftruncateSync(file, content.length);
    // Most of it is empty, and costs nothing as a hole.
    for (let at = 0; at < content.length; at += STRIDE_BYTES) {
      const stride = content.subarray(at, at + STRIDE_BYTES);
      if (!stride.equals(EMPTY)) writeSync(file, stride, 0, stride.length, at);
    }
    closeSync(file);
    return image;
  }

  /** Mounts it as after a power cut: the journal is replayed. Resolves with the folder. */
  mount(image: string): string {
    const folder = `${image}.mount`;
    mkdirSync(folder, { recursive: true });
    // The kernel's own commits, every five seconds by default, would make each run another one.
    execFileSync('mount', ['-o', 'loop,noatime,commit=900', image, folder]);
    this.#mounts.add(folder);
    return folder;
  }

  /** The agent may let go of its last file a moment after it has stopped. */
  async unmount(folder: string): Promise<void> {
    await until(() => spawnSync('umount', [folder]).status === 0, { what: `${folder} to be free` });
    this.#mounts.delete(folder);
  }

  discard(image: string): void {
    rmSync(image, { force: true });
    rmSync(`${image}.mount`, { recursive: true, force: true });
  }

  close(): void {
    for (const folder of this.#mounts) execFileSync('umount', ['-l', folder]);
    execFileSync('umount', ['-l', this.folder]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Follows what reaches a disk. */
export class DiskWatch {
  readonly #file: number;
  readonly #seen = Buffer.alloc(DISK_BYTES);
  readonly #stride = Buffer.alloc(STRIDE_BYTES);

  constructor(image: string) {
    this.#file = openSync(image, 'r');
    this.look();
  }

  /** A copy of what the disk held at the last look. */
  content(): Buffer {
    return Buffer.from(this.#seen);
  }

  /** What has reached the disk since the last look. */
  look(): Delta {
    const delta = new Map<number, Buffer>();
    for (let at = 0; at < DISK_BYTES; at += STRIDE_BYTES) {
      readSync(this.#file, this.#stride, 0, STRIDE_BYTES, at);
      if (this.#seen.compare(this.#stride, 0, STRIDE_BYTES, at, at + STRIDE_BYTES) === 0) continue;
      this.#compare(at, delta);
    }
    return delta;
  }

  close(): void {
    closeSync(this.#file);
  }

  #compare(at: number, delta: Map<number, Buffer>): void {
    for (let inside = 0; inside < STRIDE_BYTES; inside += BLOCK_BYTES) {
      const block = this.#stride.subarray(inside, inside + BLOCK_BYTES);
      const seen = this.#seen.subarray(at + inside, at + inside + BLOCK_BYTES);
      if (block.equals(seen)) continue;
      delta.set((at + inside) / BLOCK_BYTES, Buffer.from(block));
      block.copy(seen);
    }
  }
}

export function apply(content: Buffer, delta: Delta): void {
  for (const [block, data] of delta) data.copy(content, block * BLOCK_BYTES);
}

const SECTOR_BYTES = 512;
const JBD2_MAGIC = 0xc03b3998;
const COMMIT_BLOCK = 2;
const JOURNAL_SUPERBLOCKS = [3, 4];

/**
 * Applies what a disk may have kept of a delta when the power went while it was written: any of its sectors, in any
 * order. The file system asks for everything else to be durable before it writes a commit block or a superblock:
 * those have not come yet.
 */
export function applyTorn(content: Buffer, delta: Delta, random: () => number): void {
  const share = random();
  for (const [block, data] of delta) {
    if (block === 0 || isLast(data)) continue;
    for (let at = 0; at < BLOCK_BYTES; at += SECTOR_BYTES)
      if (random() < share) data.copy(content, block * BLOCK_BYTES + at, at, at + SECTOR_BYTES);
  }
}

const isLast = (block: Buffer): boolean =>
  block.readUInt32BE(0) === JBD2_MAGIC &&
  [COMMIT_BLOCK, ...JOURNAL_SUPERBLOCKS].includes(block.readUInt32BE(4));

/** Numbers in [0, 1) that are the same each time for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
