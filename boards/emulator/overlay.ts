import { existsSync } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../images/run.ts';
import { type FatFiles, putFiles } from '../fat.ts';
import { DISK_SECTORS, PARTITIONS, type Partition, SECTOR } from '../layout.ts';

const MIB = 1024 ** 2;

export interface OverlayParts {
  /** The disk as it was built; shared by all boards, never written to. */
  disk: string;
  /** The medium is larger than the image by so much; the first boot grows the data partition over it. */
  spareMib: number;
  /** Files of the firmware partition, as a flasher writes them: wherry.json. */
  firmwareFiles?: FatFiles;
}

/** Makes a board's disk as a qcow2 overlay: what the board writes, over what all boards share. */
export async function makeOverlay(file: string, parts: OverlayParts): Promise<void> {
  const { disk, spareMib, firmwareFiles } = parts;
  await rm(file, { force: true });
  const bytes = DISK_SECTORS * SECTOR + spareMib * MIB;
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', disk, file, String(bytes)]);
  const work = await mkdtemp(`${file}-`);
  try {
    const image = join(work, 'partition');
    if (firmwareFiles) {
      await copyPartition(disk, PARTITIONS.firmware, image);
      await putFiles(image, firmwareFiles);
      await writePartition(file, disk, PARTITIONS.firmware, image);
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Whether it was made over this disk: over another's sectors it would be a disk that never was. */
export async function isOverlayOf(file: string, disk: string): Promise<boolean> {
  if (!existsSync(file)) return false;
  // -U: also of a board that runs.
  const info = JSON.parse(await run('qemu-img', ['info', '-U', '--output=json', file])) as object;
  return 'backing-filename' in info && info['backing-filename'] === disk;
}

async function copyPartition(disk: string, { start, sectors }: Partition, target: string): Promise<void> {
  const bytes = String(MIB);
  const [skip, count] = [start, sectors].map((each) => String((each * SECTOR) / MIB));
  await run('dd', [
    `if=${disk}`,
    `of=${target}`,
    `bs=${bytes}`,
    `skip=${skip}`,
    `count=${count}`,
    'conv=sparse',
  ]);
}

/** Only what differs from what is below the overlay takes room in it. */
async function writePartition(
  overlay: string,
  disk: string,
  { start }: Partition,
  image: string,
): Promise<void> {
  const commands: string[] = [];
  const [below, source] = await Promise.all([open(disk), open(image)]);
  try {
    const [was, is] = [Buffer.alloc(MIB), Buffer.alloc(MIB)];
    for (let at = 0; (await source.read(is, 0, MIB, at)).bytesRead === MIB; at += MIB) {
      await below.read(was, 0, MIB, start * SECTOR + at);
      if (was.equals(is)) continue;
      const piece = `${image}-${at}`;
      await writeFile(piece, is);
      commands.push('-c', `write -s ${piece} ${start * SECTOR + at} ${MIB}`);
    }
  } finally {
    await Promise.all([below.close(), source.close()]);
  }
  if (commands.length > 0) await run('qemu-io', ['-f', 'qcow2', ...commands, overlay]);
}
