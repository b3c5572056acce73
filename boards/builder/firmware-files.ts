import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FatFiles } from '../fat.ts';
import type { ImageConfig } from '../image-config.ts';
import { bootScript } from '../uboot/boot-script.ts';
import { encodeEnvironment } from '../uboot/environment.ts';
import type { Variant } from './system-image.ts';

/** CONFIG_ENV_SIZE of Debian's u-boot-rpi. */
const ENVIRONMENT_BYTES = 0x4000;
/** Seconds in which a key stops U-Boot; -2: none does. */
const BOOT_DELAY: Readonly<Record<Variant, string>> = { production: '-2', development: '1' };
const isTree = (path: string): boolean => path.endsWith('.dtb');

/** Every device tree that a board needs, in its slots or before them, by its path in the kernel's package. */
export const deviceTreesOf = ({ kernel, firmware = {} }: ImageConfig): string[] => [
  ...new Set([...(kernel.deviceTrees ?? []), ...Object.values(firmware).filter(isTree)]),
];

/** What the firmware partition of a board holds. `boardDir`: its folder of board-configs. */
export async function firmwareFiles(
  boardDir: string,
  unpacked: string,
  { bootloader, firmware = {} }: ImageConfig,
  variant: Variant,
): Promise<FatFiles> {
  const files: Record<string, Buffer> = { 'boot.scr': await bootScript(bootloader) };
  for (const [name, path] of Object.entries(firmware))
    files[name] = await readFile(join(unpacked, isTree(path) ? 'device-trees' : 'boot', path));
  const own = join(boardDir, 'firmware');
  for (const name of await readdir(own).catch(() => [])) files[name] = await readFile(join(own, name));
  if (bootloader.environment) {
    const environment = { ...bootloader.environment, bootdelay: BOOT_DELAY[variant] };
    files['uboot.env'] = encodeEnvironment(environment, ENVIRONMENT_BYTES);
  }
  return files;
}
