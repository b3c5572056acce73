import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FromSchema } from 'json-schema-to-ts';
import { validator } from '../protocol/validate.ts';
import { parseYaml } from '../release/yaml.ts';

const names = { type: 'array', items: { type: 'string', minLength: 1 }, minItems: 1 } as const;

const address = { type: 'string', pattern: '^0x[0-9a-f]{8}$' } as const;

/** `board-configs/<board>/image.yaml`: what the builder and the emulator need to know of a board. */
export const imageConfigSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['suite', 'kernel', 'packages', 'bootloader', 'emulator'],
  properties: {
    suite: { enum: ['trixie'] },
    kernel: {
      type: 'object',
      additionalProperties: false,
      required: ['package', 'modules', 'early', 'commandLine'],
      properties: {
        package: { type: 'string', pattern: '^linux-image-[a-z0-9-]+$' },
        /** Regular expressions over paths below kernel/, without ".ko". */
        modules: names,
        /** Loaded before the root filesystem is there: names, each with its options behind it. */
        early: names,
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
      },
    },
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
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new Error(
      `Cannot build board "${board}": ${file} cannot be read; only boards with one have an image`,
      {
        cause,
      },
    );
  });
  const parsed = parseYaml(text);
  const checked = parsed.ok ? check(parsed.value) : parsed;
  if (!checked.ok) throw new Error(`Cannot use ${file}: ${checked.faults.join('; ')}`);
  return checked.value;
}
