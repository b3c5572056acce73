import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../images/run.ts';
import { type FatFiles, makeFat } from '../fat.ts';
import { CHOICE_SECTOR, DISK_SECTORS, PARTITIONS, SECTOR, TRIES_SECTOR } from '../layout.ts';
import { encodeEnvironment } from '../uboot/environment.ts';
import { partitionTable } from './partition-table.ts';
import { BUILT_AT, DATA_UUID } from './reproducible.ts';

const PIECE_BYTES = 1024 ** 2;
const ZEROS = Buffer.alloc(PIECE_BYTES);

/** What a slot is filled with. */
export interface SlotFiles {
  boot: string;
  root: string;
}

/**
 * Writes the whole disk of a board, sparse: `files` on the firmware partition, slot a filled and chosen, slot b empty, data
 * empty. Made without root and without a mount.
 */
export async function writeDisk(file: string, { boot, root }: SlotFiles, files: FatFiles): Promise<void> {
  const work = await mkdtemp(`${file}-`);
  const disk = await open(file, 'wx');
  try {
    await disk.truncate(DISK_SECTORS * SECTOR);
    for (const { sector, bytes } of partitionTable()) await disk.write(bytes, 0, SECTOR, sector * SECTOR);
    const chosen = encodeEnvironment({ active: 'a', trial: '', token: '' }, SECTOR);
    await disk.write(chosen, 0, SECTOR, CHOICE_SECTOR * SECTOR);
    await disk.write(encodeEnvironment({ tried: '' }, SECTOR), 0, SECTOR, TRIES_SECTOR * SECTOR);
    const firmware = join(work, 'firmware.img');
    const bytes = PARTITIONS.firmware.sectors * SECTOR;
    await makeFat(firmware, files, { label: 'WHERRY', bytes, time: BUILT_AT });
    const data = join(work, 'data.img');
    await makeData(data);
    await copyInto(disk, firmware, PARTITIONS.firmware.start);
    await copyInto(disk, boot, PARTITIONS['boot-a'].start);
    await copyInto(disk, root, PARTITIONS['system-a'].start);
    await copyInto(disk, data, PARTITIONS.data.start);
  } finally {
    await disk.close();
    await rm(work, { recursive: true, force: true });
  }
}

async function makeData(file: string): Promise<void> {
  const kib = (PARTITIONS.data.sectors * SECTOR) / 1024;
  const identity = ['-L', 'wherry-data', '-U', DATA_UUID];
  const sizes = ['-b', '4096', '-i', '16384', '-m', '1', '-J', 'size=16'];
  // Room in its tables to grow to a TiB without a second kind of them.
  const growth = `resize=${1024 ** 4 / 4096}`;
  const extended = ['-E', `root_owner=0:0,hash_seed=${DATA_UUID},${growth},nodiscard`];
  const options = ['-q', '-F', ...identity, ...sizes, ...extended];
  await run('env', [`E2FSPROGS_FAKE_TIME=${BUILT_AT}`, 'mkfs.ext4', ...options, file, `${kib}k`]);
}

/** What is zero is left out: the disk has it so already. */
async function copyInto(disk: FileHandle, file: string, startSector: number): Promise<void> {
  const source = await open(file);
  try {
    const piece = Buffer.alloc(PIECE_BYTES);
    for (let at = 0; ; at += PIECE_BYTES) {
      const { bytesRead } = await source.read(piece, 0, PIECE_BYTES, at);
      if (bytesRead === 0) return;
      const read = piece.subarray(0, bytesRead);
      if (read.equals(ZEROS.subarray(0, bytesRead))) continue;
      await disk.write(read, 0, bytesRead, startSector * SECTOR + at);
    }
  } finally {
    await source.close();
  }
}
