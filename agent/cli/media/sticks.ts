import { mkdirSync, readdirSync, readFileSync, realpathSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BUNDLE_FILE } from '../../../protocol/bundle.ts';
import { runProgram } from '../../supervisor/runtime/run-program.ts';
import { readBundle } from '../../update/read-bundle.ts';
import { type BlockDevice, mountOptions, parseMountinfo, placesToLook } from './removable.ts';

/** Where the kernel tells of media, and where they are mounted. */
export interface MediaPlaces {
  classBlock: string;
  mountinfo: string;
  mountDir: string;
}

export const MEDIA_PLACES: MediaPlaces = {
  classBlock: '/sys/class/block',
  mountinfo: '/proc/self/mountinfo',
  mountDir: '/run/wherry/media',
};

export interface FoundBundle {
  folder: string;
  /** "demo 2.0.0". */
  release: string;
  /** The partition that had to be mounted for it; absent when it was mounted already. */
  device?: string;
}

/** Bundles on media. What was mounted for the search stays so until `letGo`. */
export interface Media {
  bundles: FoundBundle[];
  /** What could not be looked at, one sentence each. */
  faults: string[];
  letGo(): Promise<void>;
}

const SECTOR = 512;

/** Looks on every medium, in its root and one folder deep; mounts removable partitions that nobody has mounted. */
export async function searchMedia(places: MediaPlaces = MEDIA_PLACES): Promise<Media> {
  const mounts = parseMountinfo(readFileSync(places.mountinfo, 'utf8'));
  const { mounted, unmounted } = placesToLook(blockDevices(places.classBlock), mounts);
  const media: Media & { bundles: FoundBundle[] } = { bundles: [], faults: [], letGo: async () => {} };
  const held: string[] = [];
  media.letGo = async () => {
    for (const folder of held.splice(0)) await unmount(folder);
  };
  for (const folder of mounted) media.bundles.push(...(await bundlesIn(folder)));
  for (const device of unmounted) {
    const outcome = await mountReadOnly(device, places.mountDir);
    if ('fault' in outcome) {
      media.faults.push(outcome.fault);
      continue;
    }
    const found = await bundlesIn(outcome.folder);
    if (found.length === 0) await unmount(outcome.folder);
    else held.push(outcome.folder);
    media.bundles.push(...found.map((bundle) => ({ ...bundle, device })));
  }
  return media;
}

async function mountReadOnly(
  device: string,
  mountDir: string,
): Promise<{ folder: string } | { fault: string }> {
  const folder = join(mountDir, device.slice(device.lastIndexOf('/') + 1));
  try {
    const type = (await runProgram('blkid', ['-o', 'value', '-s', 'TYPE', device])).trim();
    const options = mountOptions(type);
    if (options === undefined)
      return { fault: `Cannot mount ${device}: it holds "${type}"; wanted a file system` };
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    await runProgram('mount', ['-t', type, '-o', options, device, folder]);
    return { folder };
  } catch (error) {
    removeFolder(folder);
    return { fault: `Cannot mount ${device}: ${error instanceof Error ? error.message : String(error)}` };
  }
}

async function unmount(folder: string): Promise<void> {
  // Lazy: a reader that is just closing must not keep the stick.
  await runProgram('umount', ['--lazy', folder]);
  removeFolder(folder);
}

function removeFolder(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Empty and in the runtime folder: the next boot has none.
  }
}

async function bundlesIn(root: string): Promise<FoundBundle[]> {
  const found: FoundBundle[] = [];
  for (const folder of [root, ...foldersIn(root)]) {
    if (!statSync(join(folder, BUNDLE_FILE), { throwIfNoEntry: false })?.isFile()) continue;
    const read = await readBundle(folder);
    if (read.ok)
      found.push({ folder, release: `${read.bundle.release.name} ${read.bundle.release.version}` });
  }
  return found;
}

/** Most that are looked into on one medium. */
const MOST_FOLDERS = 256;

function foldersIn(root: string): string[] {
  try {
    const entries = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return entries.slice(0, MOST_FOLDERS).map(({ name }) => join(root, name));
  } catch {
    return [];
  }
}

/** sysfs: a partition's folder lies in that of its disk, and its real path shows the bus. */
function blockDevices(classBlock: string): BlockDevice[] {
  const names = readdirSync(classBlock);
  return names.map((name) => {
    const path = realpathSync(join(classBlock, name));
    const isPartition = statSync(join(path, 'partition'), { throwIfNoEntry: false }) !== undefined;
    const diskPath = isPartition ? join(path, '..') : path;
    const disk = diskPath.slice(diskPath.lastIndexOf('/') + 1);
    const isParted =
      !isPartition && readdirSync(path).some((entry) => entry !== name && entry.startsWith(name));
    const isRemovable = readText(join(diskPath, 'removable')) === '1' || /\/usb\d+\//.test(path);
    return {
      name,
      number: readText(join(path, 'dev')),
      disk,
      isRemovable,
      isParted,
      sizeBytes: Number(readText(join(path, 'size'))) * SECTOR,
    };
  });
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}
