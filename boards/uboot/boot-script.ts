import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { ImageConfig } from '../image-config.ts';
import { CHOICE_SECTOR, DISK_ID, PARTITIONS, TRIES_SECTOR } from '../layout.ts';

/** `boot.scr` of a board: boot.cmd with the layout's numbers, in the wrapping that U-Boot's `source` wants. */
export async function bootScript({ load }: ImageConfig['bootloader']): Promise<Buffer> {
  const values: Readonly<Record<string, string>> = {
    SCRATCH: load.scratch,
    KERNEL: load.kernel,
    RAMDISK: load.initramfs,
    DEVICE_TREE: load.deviceTree,
    DISK_ID: DISK_ID.toString(16),
    CHOICE_SECTOR: CHOICE_SECTOR.toString(16),
    TRIES_SECTOR: TRIES_SECTOR.toString(16),
    BOOT_A: PARTITIONS['boot-a'].number.toString(16),
    BOOT_B: PARTITIONS['boot-b'].number.toString(16),
  };
  const text = await readFile(join(import.meta.dirname, 'boot.cmd'), 'utf8');
  const lines = text.split('\n').filter((line) => !line.startsWith('#'));
  return scriptImage(lines.join('\n').replace(/@([A-Z_]+)@/g, (_, name: string) => values[name] ?? ''));
}

const MAGIC = 0x27_05_19_56;
const HEADER_BYTES = 64;
const OS_LINUX = 5;
const ARCH_ARM64 = 22;
const TYPE_SCRIPT = 6;

/** U-Boot's legacy image format (include/image.h): a header, the lengths of the scripts up to a zero, the script. */
export function scriptImage(text: string): Buffer {
  const script = Buffer.from(text);
  const body = Buffer.concat([Buffer.alloc(8), script]);
  body.writeUInt32BE(script.length, 0);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(MAGIC, 0);
  header.writeUInt32BE(body.length, 12);
  header.writeUInt32BE(crc32(body), 24);
  header.set([OS_LINUX, ARCH_ARM64, TYPE_SCRIPT, 0], 28);
  header.write('wherry', 32);
  header.writeUInt32BE(crc32(header), 4);
  return Buffer.concat([header, body]);
}
