// The disk of a board, all boards alike (docs/boards.md, docs/adr/0019): builder, flasher, boot script, initramfs and the
// agent's slots take every number from here. MBR: the Raspberry Pi's first stage knows nothing newer on all models.

/** Bytes. */
export const SECTOR = 512;
const SECTORS_PER_MIB = 2048;

export type Slot = 'a' | 'b';
export type PartitionName = 'firmware' | 'boot-a' | 'boot-b' | 'extended' | 'system-a' | 'system-b' | 'data';

/** A row of the partition table; sectors of 512 bytes from the disk's beginning. */
export interface Partition {
  readonly name: PartitionName;
  /** As the kernel numbers it: /dev/vda<number>. */
  readonly number: number;
  /** The MBR's type byte. */
  readonly type: number;
  readonly start: number;
  readonly sectors: number;
  /** Of a logical partition: the sector of the extended boot record before it. */
  readonly record?: number;
}

/** MBR disk signature of every image, little-endian at byte 440. */
export const DISK_ID = 0x57_48_52_59;

/** Which slot boots: an environment block of U-Boot, written by the agent alone. In the gap before the first partition. */
export const CHOICE_SECTOR = 1024;
/** Which trial has been tried: the same, written by the boot script alone. Two writers never share a sector. */
export const TRIES_SECTOR = 1025;

const FAT = 0x0c;
const EXTENDED = 0x0f;
const LINUX = 0x83;
const MIB = (count: number): number => count * SECTORS_PER_MIB;
/** Before each logical partition there is room for its record, and it begins at a whole MiB. */
const GAP = MIB(1);

const primary = (
  name: PartitionName,
  number: number,
  type: number,
  startMib: number,
  mib: number,
): Partition => ({ name, number, type, start: MIB(startMib), sectors: MIB(mib) });
const logical = (
  name: PartitionName,
  number: number,
  startMib: number,
  mib: number,
): Partition & { record: number } => ({
  ...primary(name, number, LINUX, startMib, mib),
  record: MIB(startMib) - GAP,
});

/** In the order of the disk. The last one is grown over the rest of the medium by the first boot. */
export const PARTITIONS = {
  firmware: primary('firmware', 1, FAT, 1, 64),
  'boot-a': primary('boot-a', 2, FAT, 65, 64),
  'boot-b': primary('boot-b', 3, FAT, 129, 64),
  extended: primary('extended', 4, EXTENDED, 193, 1091),
  'system-a': logical('system-a', 5, 194, 512),
  'system-b': logical('system-b', 6, 707, 512),
  data: logical('data', 7, 1220, 64),
} as const satisfies Readonly<Record<PartitionName, Partition>>;

/** Of an image as it is built: up to the end of `data`. */
export const DISK_SECTORS = MIB(1284);

/** The two partitions that a slot is made of. */
export const slotPartitions = (slot: Slot): { boot: Partition; system: Partition } => ({
  boot: PARTITIONS[`boot-${slot}`],
  system: PARTITIONS[`system-${slot}`],
});

/** The initramfs links each partition here by its name, and the whole disk as `disk`. */
export const DEVICE_FOLDER = '/dev/wherry';
