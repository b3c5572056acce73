import { open } from 'node:fs/promises';
import { encodeEnvironment } from '../uboot/environment.ts';

/** QEMU's virt machine has a second flash of 64 MiB; U-Boot's environment is the first 256 KiB of it. */
const FLASH_BYTES = 64 * 1024 ** 2;
const ENVIRONMENT_BYTES = 256 * 1024;
const VARIABLES = {
  // No way in over the serial line, and no wait for one.
  bootdelay: '-2',
  fdt_addr: '0x40000000',
  fdt_high: '0xffffffff',
  devtype: 'virtio',
  devnum: '0',
  bootcmd: 'virtio scan; load virtio 0:1 0x40200000 boot.scr && source 0x40200000; reset',
};

/** Writes what U-Boot finds as its environment: boots from the first disk. `extra`: for the kernel's command line. */
export async function writeFlash(file: string, extra: readonly string[]): Promise<void> {
  const flash = await open(file, 'w');
  try {
    await flash.truncate(FLASH_BYTES);
    const variables = { ...VARIABLES, ...(extra.length > 0 ? { extra: extra.join(' ') } : {}) };
    await flash.write(encodeEnvironment(variables, ENVIRONMENT_BYTES), 0, ENVIRONMENT_BYTES, 0);
  } finally {
    await flash.close();
  }
}
