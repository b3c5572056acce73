import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FromSchema } from 'json-schema-to-ts';
import { validator } from '../protocol/validate.ts';
import { parseYaml } from '../release/yaml.ts';
import { mergeConfig } from './merge-config.ts';

const names = { type: 'array', items: { type: 'string', minLength: 1 }, minItems: 1 } as const;

const address = { type: 'string', pattern: '^0x[0-9a-f]{8}$' } as const;

/** `board-configs/<board>/image.yaml`: what the builder and the emulator need to know of a board. */
export const imageConfigSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['suite', 'kernel', 'packages', 'bootloader'],
  properties: {
    suite: { enum: ['trixie'] },
    /** Of Debian's archive; absent = main. */
    components: { type: 'array', items: { enum: ['main', 'non-free-firmware'] }, minItems: 1 },
    /** Folder below boards/ with files and links of this kind of board, beside those of all. */
    files: { type: 'string', pattern: '^[a-z0-9-]+$' },
    kernel: {
      type: 'object',
      additionalProperties: false,
      required: ['package', 'modules', 'early', 'commandLine'],
      properties: {
        /** Behind a slash: the suite that it comes from, where that is not the board's. */
        package: { type: 'string', pattern: '^linux-image-[a-z0-9-]+(/trixie-backports)?$' },
        /** Regular expressions over paths below kernel/, without ".ko". */
        modules: names,
        /** Loaded before the root filesystem is there: names, each with its options behind it. */
        early: names,
        /** Loaded by the system, in no order. */
        load: names,
        /** Regular expressions over paths below usr/lib/firmware: what is kept of it. Absent = all. */
        firmware: names,
        /** In the boot slot under the same path, by which U-Boot asks for them. */
        deviceTrees: names,
        commandLine: names,
      },
    },
    packages: {
      type: 'object',
      additionalProperties: false,
      required: ['boot', 'system', 'agent', 'unwanted'],
      properties: {
        /** What is in front of the kernel; not part of the root filesystem. */
        boot: names,
        system: names,
        agent: names,
        /** Come along with others, and are left out. */
        unwanted: names,
      },
    },
    bootloader: {
      type: 'object',
      additionalProperties: false,
      required: ['file', 'load'],
      properties: {
        /** U-Boot, by its path in the packages for booting. */
        file: { type: 'string' },
        /** Where the boot script loads to, in memory; it lies in none of them itself. */
        load: {
          type: 'object',
          additionalProperties: false,
          required: ['scratch', 'kernel', 'initramfs', 'deviceTree'],
          properties: {
            scratch: address,
            kernel: address,
            initramfs: address,
            /** An address, or the variable of U-Boot that holds it. */
            deviceTree: { type: 'string' },
          },
        },
        /** U-Boot's own, in uboot.env of the firmware partition, in place of the one it was built with. */
        environment: { type: 'object', additionalProperties: { type: 'string' } },
      },
    },
    /**
     * What the firmware partition holds beside boot.scr and the files of `<board>/firmware/`: by name there, a path in
     * the packages for booting, or of a device tree.
     */
    firmware: { type: 'object', additionalProperties: { type: 'string' } },
    /** Absent = nothing emulates it. */
    emulator: {
      type: 'object',
      additionalProperties: false,
      required: ['program', 'machine', 'cpu'],
      properties: {
        program: { type: 'string' },
        machine: { type: 'string' },
        cpu: { type: 'string' },
      },
    },
  },
} as const;

export type ImageConfig = FromSchema<typeof imageConfigSchema>;
const check = validator<ImageConfig>(imageConfigSchema);

/** Throws an Error that names the file and the fault. */
export async function loadImageConfig(boardsDir: string, board: string): Promise<ImageConfig> {
  const file = join(boardsDir, board, 'image.yaml');
  const checked = check(await read(boardsDir, file));
  if (!checked.ok) throw new Error(`Cannot use ${file}: ${checked.faults.join('; ')}`);
  return checked.value;
}

/** A file, on top of the one of the boards folder that it extends. */
async function read(boardsDir: string, file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new Error(`Cannot build: ${file} cannot be read; only boards with one have an image`, { cause });
  });
  const parsed = parseYaml(text);
  if (!parsed.ok) throw new Error(`Cannot use ${file}: ${parsed.faults.join('; ')}`);
  const { extends: base, ...own } = (parsed.value ?? {}) as { extends?: unknown };
  return typeof base === 'string' ? mergeConfig(await read(boardsDir, join(boardsDir, base)), own) : own;
}
