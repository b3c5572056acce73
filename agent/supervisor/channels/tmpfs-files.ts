import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { META_BYTES, RING_HEADER_BYTES } from '../../../protocol/channels.ts';
import { readMounts } from '../images/mount-table.ts';
import { runProgram } from '../runtime/run-program.ts';
import type { ServiceChannel } from '../service-spec.ts';
import { modeOf, type ObservedChannel, type ObservedFile } from './core/deviations.ts';
import { type ChannelFile, filesOf } from './core/layout.ts';

const OPTIONS = 'mode=711,nosuid,nodev,noexec';
/** st_blocks counts these, whatever the filesystem (stat(2)). */
const STAT_BLOCK_BYTES = 512;

/** proc(5) has no pages of its own; its f_bsize is the kernel's page. */
export const pageBytes = (): number => statfsSync('/proc').bsize;

/** Exact: no byte and no inode beyond its files fits. Not swapped where the kernel can do that (6.4). */
export async function mountTmpfs(path: string, sizeBytes: number, inodes: number): Promise<void> {
  mkdirSync(path, { recursive: true, mode: 0o711 });
  const isMounted = isMountPoint(path);
  const exact = `size=${sizeBytes},nr_inodes=${inodes}`;
  if (isMounted) return void (await runProgram('mount', ['-o', `remount,${exact}`, path]));
  const mount = (options: string) =>
    runProgram('mount', ['-t', 'tmpfs', '-o', options, 'wherry-channel', path]);
  await mount(`${exact},${OPTIONS},noswap`).catch(() => mount(`${exact},${OPTIONS}`));
}

/** Readers that have it mapped keep the memory until they end. */
export async function removeTmpfs(path: string): Promise<void> {
  while (isMountPoint(path)) await runProgram('umount', [path]);
  rmSync(path, { recursive: true, force: true });
}

/**
 * Gives the files all of their memory, by a process that ends at once: pages of a tmpfs are charged to whoever touches
 * them first, and it is in the cgroup of the channel.
 */
export async function fillFiles(
  path: string,
  files: readonly Pick<ChannelFile, 'name' | 'bytes'>[],
  procs: string,
): Promise<void> {
  for (const { name, bytes } of files) {
    const file = join(path, name);
    if (existsSync(file) && statSync(file).size > bytes) truncateSync(file, bytes);
  }
  const script = 'echo $$ > "$0" && while [ $# -gt 0 ]; do fallocate -l "$1" "$2" || exit; shift 2; done';
  const pairs = files.flatMap(({ name, bytes }) => [String(bytes), join(path, name)]);
  await runProgram('sh', ['-c', script, procs, ...pairs]);
}

/** Each file to the user who writes it; every service that sees it may read it. */
export function giveAway(path: string, channel: ServiceChannel, owners: ReadonlyMap<string, number>): void {
  for (const { name, writer, kind } of filesOf(channel)) {
    const file = join(path, name);
    chownSync(file, writer === undefined ? 0 : (owners.get(writer) ?? 0), 0);
    chmodSync(file, modeOf(kind));
  }
}

export function observeTmpfs(
  path: string,
  channel: ServiceChannel,
  limitBytes: number | undefined,
): ObservedChannel {
  const mounted = readMounts(join(path, '..')).findLast(({ point }) => point === path);
  if (mounted?.type !== 'tmpfs') return { mount: undefined, files: new Map(), limitBytes };
  const option = (name: string): number =>
    Number(
      new RegExp(`^${name}=([0-9]+)`).exec(
        mounted.options.find((text) => text.startsWith(`${name}=`)) ?? '',
      )?.[1],
    );
  const files = new Map<string, ObservedFile>();
  for (const { name, kind } of filesOf(channel)) {
    const stats = statSync(join(path, name), { throwIfNoEntry: false });
    if (stats === undefined) continue;
    files.set(name, {
      bytes: stats.size,
      blocksBytes: stats.blocks * STAT_BLOCK_BYTES,
      uid: stats.uid,
      mode: stats.mode & 0o7777,
      head: readBytes(join(path, name), 0, kind === 'meta' ? META_BYTES : RING_HEADER_BYTES),
    });
  }
  return { mount: { sizeBytes: option('size') * 1024, inodes: option('nr_inodes') }, files, limitBytes };
}

export const isMountPoint = (path: string): boolean =>
  readMounts(join(path, '..')).some(({ point }) => point === path);

/** What the file has of that range; nothing of a file that is not there. */
export function readBytes(file: string, at: number, length: number): Uint8Array {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return new Uint8Array();
    throw error;
  }
  try {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(fd, bytes, 0, length, at));
  } finally {
    closeSync(fd);
  }
}

export function writeBytes(file: string, parts: readonly { at: number; bytes: Uint8Array }[]): void {
  const fd = openSync(file, 'r+');
  try {
    for (const { at, bytes } of parts) writeSync(fd, bytes, 0, bytes.length, at);
  } finally {
    closeSync(fd);
  }
}

/** Folders of channels, whole or not. */
export const foldersIn = (path: string): string[] => (existsSync(path) ? readdirSync(path) : []);
