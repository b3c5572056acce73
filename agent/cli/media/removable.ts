/** A partition, or a disk without any, as /sys/class/block and /proc/self/mountinfo tell of it. */
export interface BlockDevice {
  /** "sda1". */
  name: string;
  /** "8:1". */
  number: string;
  /** The disk that it is on, or itself: "sda". */
  disk: string;
  /** The kernel calls its disk removable, or it hangs on USB. */
  isRemovable: boolean;
  /** It has partitions of its own. */
  isParted: boolean;
  sizeBytes: number;
}

export interface Mount {
  /** Of the device: "8:1". */
  number: string;
  folder: string;
}

/** mountinfo(5): "36 35 8:1 / /media/stick rw,… - vfat /dev/sda1 rw"; spaces in paths are "\040". */
export function parseMountinfo(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [, , number, , folder] = line.split(' ');
    return folder === undefined || number === undefined ? [] : [{ number, folder: unescaped(folder) }];
  });
}

const unescaped = (path: string): string =>
  path.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** Folders in which people and desktops mount what they plug in. */
const MEDIA = /^\/(?:media|mnt|run\/media)(?:\/|$)/;
/** What a system is made of. */
const SYSTEM = /^\/(?:$|(?:boot|etc|usr|var|home|opt|srv)(?:\/|$))/;

/**
 * Where a bundle may lie: folders that are mounted, and removable partitions that nobody has mounted. A disk of which
 * the system itself uses a part is none of them, also where it hangs on USB.
 */
export function placesToLook(
  devices: readonly BlockDevice[],
  mounts: readonly Mount[],
): { mounted: string[]; unmounted: string[] } {
  const disks = new Map(devices.map(({ number, disk }) => [number, disk]));
  const own = new Set(
    mounts.filter(({ folder }) => SYSTEM.test(folder)).map(({ number }) => disks.get(number) ?? ''),
  );
  const removable = devices.filter(({ isRemovable, disk }) => isRemovable && !own.has(disk));
  const numbers = new Set(removable.map(({ number }) => number));
  const mounted = mounts.filter(({ number, folder }) => numbers.has(number) || MEDIA.test(folder));
  const inUse = new Set(mounts.map(({ number }) => number));
  const unmounted = removable
    .filter(({ number, isParted, sizeBytes }) => !isParted && sizeBytes > 0 && !inUse.has(number))
    .map(({ name }) => `/dev/${name}`);
  return { mounted: [...new Set(mounted.map(({ folder }) => folder))], unmounted };
}

/**
 * Nothing on a stick is run, owned or obeyed, and nothing is written to it: a journal is not replayed either.
 * Undefined for what no stick should be.
 */
export function mountOptions(type: string): string | undefined {
  const common = 'ro,nosuid,nodev,noexec';
  switch (type) {
    case 'ext2':
      return common;
    case 'ext3':
    case 'ext4':
      return `${common},noload`;
    case 'xfs':
      return `${common},norecovery`;
    case 'vfat':
    case 'exfat':
    case 'iso9660':
    case 'udf':
    case 'ntfs3':
    case 'squashfs':
    case 'erofs':
      return common;
    default:
      return undefined;
  }
}
