import { spawn } from 'node:child_process';
import { type FileHandle, open } from 'node:fs/promises';
import { PARTITIONS, SECTOR, slotPartitions } from '../../boards/layout.ts';
import { verityOf } from '../../protocol/fsverity.ts';
import type { ManifestBlob } from '../../protocol/manifest.ts';
import { formatBytes } from '../../protocol/quantities.ts';
import type { PlacedSystem, Slot, SlotPart, SystemSlots } from '../update/ports.ts';
import type { SystemImage } from './system-image.ts';

const CHUNK_BYTES = 1024 ** 2;
/** More of it at once would keep the services from the disk for seconds. */
const UNSYNCED_BYTES = 8 * CHUNK_BYTES;

export const SLOT_CAPACITY: SystemSlots['capacity'] = {
  bootBytes: PARTITIONS['boot-a'].sectors * SECTOR,
  rootBytes: PARTITIONS['system-a'].sectors * SECTOR,
};

export interface SlotPlace {
  /** The whole disk, or a file that stands for it. */
  disk: string;
  pathOf(verity: string): string;
}

/** A blob, and the part of the disk that is to hold it. Bytes. */
interface Part {
  what: string;
  blob: ManifestBlob;
  start: number;
}

function partsOf(slot: Slot, { boot, root }: SystemImage): Part[] {
  const places = slotPartitions(slot);
  return [
    { what: 'boot partition', blob: boot, start: places.boot.start * SECTOR },
    { what: 'root filesystem', blob: root, start: places.system.start * SECTOR },
  ];
}

export async function readPart(
  slot: Slot,
  part: SlotPart,
  { at, into }: { at: number; into: Buffer },
  path: string,
): Promise<void> {
  const { boot, system } = slotPartitions(slot);
  const { start } = part === 'boot' ? boot : system;
  const disk = await open(path);
  try {
    await disk.read(into, 0, into.length, start * SECTOR + at);
  } finally {
    await disk.close();
  }
}

/** Whether a slot holds exactly what was signed, read from the medium itself. */
export async function holdsSystem(slot: Slot, image: SystemImage, place: SlotPlace): Promise<boolean> {
  for (const part of partsOf(slot, image)) {
    if (!(await beginsLike(part, place))) return false;
    if ((await digestOnMedium(part, place.disk)) !== part.blob.verity) return false;
  }
  return true;
}

/** Writes what differs, syncs, and reads it back. Throws what the disk says. */
export async function writeSystem(slot: Slot, image: SystemImage, place: SlotPlace): Promise<PlacedSystem> {
  const { bootBytes, rootBytes } = SLOT_CAPACITY;
  if (image.boot.size > bootBytes || image.root.size > rootBytes)
    return refuse(
      `the system ${image.version} is larger than slot ${slot}, ${formatBytes(bootBytes + rootBytes)}`,
    );
  for (const part of partsOf(slot, image)) await writePart(part, place);
  for (const part of partsOf(slot, image)) {
    if ((await digestOnMedium(part, place.disk)) === part.blob.verity) continue;
    return refuse(
      `the ${part.what} of slot ${slot} does not read back as it was signed: its blob or the medium is bad; replace the medium if it happens again`,
    );
  }
  return { ok: true };
}

const refuse = (message: string): PlacedSystem => ({ ok: false, code: 'refused.system', message });

/** Two systems mostly differ in their first bytes: that spares the reading of all the others. */
const beginsLike = ({ blob, start }: Part, place: SlotPlace): Promise<boolean> =>
  withBoth(blob, place, 'r', async (source, disk) => {
    const own = Buffer.alloc(CHUNK_BYTES);
    const { bytesRead } = await source.read(own, 0, CHUNK_BYTES, 0);
    return isSame(disk, start, own.subarray(0, bytesRead), Buffer.alloc(CHUNK_BYTES));
  });

/** A medium wears by what is written to it: what is there already stays. */
const writePart = ({ blob, start }: Part, place: SlotPlace): Promise<void> =>
  withBoth(blob, place, 'r+', async (source, disk) => {
    const [own, held] = [Buffer.alloc(CHUNK_BYTES), Buffer.alloc(CHUNK_BYTES)];
    let unsynced = 0;
    for (let at = 0; at < blob.size; at += CHUNK_BYTES) {
      const { bytesRead } = await source.read(own, 0, Math.min(CHUNK_BYTES, blob.size - at), at);
      const fresh = own.subarray(0, bytesRead);
      if (await isSame(disk, start + at, fresh, held)) continue;
      await disk.write(fresh, 0, fresh.length, start + at);
      unsynced += fresh.length;
      if (unsynced < UNSYNCED_BYTES) continue;
      await disk.datasync();
      unsynced = 0;
    }
    await disk.sync();
  });

async function withBoth<T>(
  { verity }: ManifestBlob,
  { disk, pathOf }: SlotPlace,
  flags: 'r' | 'r+',
  work: (source: FileHandle, disk: FileHandle) => Promise<T>,
): Promise<T> {
  const source = await open(pathOf(verity));
  try {
    const target = await open(disk, flags);
    try {
      return await work(source, target);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function isSame(file: FileHandle, at: number, content: Buffer, buffer: Buffer): Promise<boolean> {
  const { bytesRead } = await file.read(buffer, 0, content.length, at);
  return bytesRead === content.length && content.equals(buffer.subarray(0, bytesRead));
}

/**
 * fs-verity digest of a part as the medium gives it: past the page cache, which would only repeat what was written to
 * it. Node cannot ask for that, since its buffers are not aligned.
 */
async function digestOnMedium({ blob, start }: Part, disk: string): Promise<string> {
  const range = [`skip=${start}`, `count=${blob.size}`, 'iflag=direct,skip_bytes,count_bytes'];
  const dd = spawn('dd', [`if=${disk}`, 'bs=1M', 'status=none', ...range], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let complaint = '';
  dd.stderr.on('data', (text: Buffer) => {
    complaint = (complaint + text.toString()).slice(-500);
  });
  const ended = new Promise<number | null>((resolve, reject) => dd.on('close', resolve).on('error', reject));
  const [{ digest }, code] = await Promise.all([verityOf(dd.stdout), ended]);
  if (code !== 0) throw new Error(`Cannot read ${disk} back: ${complaint.trim() || `dd ended with ${code}`}`);
  return digest;
}
