import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { runProgram } from '../runtime/run-program.ts';
import { readMounts } from './mount-table.ts';

export interface VolumeWish {
  name: string;
  sizeBytes: number;
  gid: number;
  backing?: 'disk' | undefined;
}

const OPTIONS = 'nosuid,nodev,noexec';

/**
 * Sized shared volumes, one folder each. In memory: a tmpfs. On disk: an ext4 image of exactly that size, its blocks
 * reserved, that grows with the release and is never shrunk nor deleted.
 */
export class Volumes {
  readonly #folder: string;
  readonly #imageDir: string | undefined;

  /** `imageDir` holds the images of volumes on disk; without it there are none. */
  constructor(folder: string, imageDir: string | undefined) {
    this.#folder = folder;
    this.#imageDir = imageDir;
  }

  /** Where the volume is mounted, or will be. */
  pathOf(name: string): string {
    return join(this.#folder, name);
  }

  /** Mounted at return with at least this size. Throws with code fail.volume. */
  async mount(wish: VolumeWish): Promise<void> {
    try {
      await this.#mount(wish);
    } catch (error) {
      throw Object.assign(error instanceof Error ? error : new Error(String(error)), { code: 'fail.volume' });
    }
  }

  async #mount(wish: VolumeWish): Promise<void> {
    const path = this.pathOf(wish.name);
    const present = readMounts(this.#folder).findLast(({ point }) => point === path);
    mkdirSync(path, { recursive: true });
    if (wish.backing === 'disk') await this.#mountDisk(wish, path, present?.type === 'ext4');
    else if (present?.type !== 'ext4') await mountMemory(wish, path, present?.options);
  }

  async #mountDisk({ name, sizeBytes, gid }: VolumeWish, path: string, isMounted: boolean): Promise<void> {
    if (this.#imageDir === undefined) throw volumeError(name, 'this agent has no folder for volumes on disk');
    mkdirSync(this.#imageDir, { recursive: true, mode: 0o700 });
    const image = join(this.#imageDir, `${name}.img`);
    const bytes = Math.ceil(sizeBytes / 4096) * 4096;
    if (!existsSync(image)) await makeImage(image, bytes);
    const { size } = statSync(image);
    if (size > bytes) {
      const what = `it has ${size} bytes and the release asks for ${bytes}`;
      throw volumeError(name, `${what}; a volume is never shrunk, ask for no less`);
    }
    if (size < bytes) await runProgram('fallocate', ['--length', String(bytes), image]);
    if (isMounted) {
      if (filesystemBytes(image) < bytes) await growMounted(name, image);
    } else {
      await checkImage(image, ['-p']);
      // Also where an earlier growth was cut off between the file and its filesystem.
      if (filesystemBytes(image) < bytes) {
        await checkImage(image, ['-f', '-p']);
        await runProgram('resize2fs', [image]);
      }
      await runProgram('mount', ['-t', 'ext4', '-o', `loop,${OPTIONS}`, image, path]);
    }
    chownSync(path, 0, gid);
    chmodSync(path, 0o2770);
  }
}

async function mountMemory(wish: VolumeWish, path: string, present?: string[]): Promise<void> {
  const size = Math.ceil(wish.sizeBytes / 4096) * 4096;
  if (present?.includes(`size=${size / 1024}k`)) return;
  const options = `${OPTIONS},mode=2770,size=${size},gid=${wish.gid}`;
  const how = present === undefined ? options : `remount,${options}`;
  await runProgram('mount', ['-t', 'tmpfs', '-o', how, `wherry-${wish.name}`, path]);
}

/** A whole image or none: it gets its name last. */
async function makeImage(image: string, bytes: number): Promise<void> {
  const fresh = `${image}.new`;
  rmSync(fresh, { force: true });
  await runProgram('fallocate', ['--length', String(bytes), fresh]);
  await formatExt4(fresh, []);
  await runProgram('sync', [fresh]);
  renameSync(fresh, image);
}

/** Blocks stay reserved: without `nodiscard` mke2fs would give them back. */
export const formatExt4 = (file: string, more: readonly string[]): Promise<string> =>
  runProgram('mkfs.ext4', ['-q', '-F', '-m', '0', '-E', 'nodiscard', ...more, file]);

/** e2fsck(8): 1 = repaired. */
async function checkImage(image: string, how: readonly string[]): Promise<void> {
  try {
    await runProgram('e2fsck', [...how, image]);
  } catch (error) {
    const cause = error instanceof Error ? (error.cause as { code?: unknown }) : undefined;
    if (cause?.code !== 1) throw error;
  }
}

/** Of the ext4 superblock: s_blocks_count_lo and s_log_block_size. */
function filesystemBytes(image: string): number {
  const block = Buffer.alloc(1024);
  const file = openSync(image, 'r');
  try {
    readSync(file, block, 0, block.length, 1024);
  } finally {
    closeSync(file);
  }
  return block.readUInt32LE(4) * (1024 << block.readUInt32LE(24));
}

/** The kernel wants CAP_SYS_RESOURCE for this; an agent without it grows a volume at its next mount. */
async function growMounted(name: string, image: string): Promise<void> {
  const found = await runProgram('losetup', ['-j', image, '--noheadings', '-O', 'NAME']);
  const device = found.trim().split('\n')[0] ?? '';
  try {
    await runProgram('losetup', ['--set-capacity', device]);
    await runProgram('resize2fs', [device]);
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw volumeError(name, `it cannot grow while it is in use: ${said}`);
  }
}

/** mke2fs makes it for e2fsck, which makes it again when it needs one. */
export function removeLostFound(folder: string): void {
  if (existsSync(join(folder, 'lost+found'))) rmdirSync(join(folder, 'lost+found'));
}

const volumeError = (name: string, what: string): Error =>
  new Error(`Cannot mount volume "${name}": ${what}`);
