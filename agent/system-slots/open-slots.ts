import { DEVICE_FOLDER } from '../../boards/layout.ts';
import type { BlobStore, SystemSlots } from '../update/ports.ts';
import { UbootSlots } from './uboot-slots.ts';

export interface SlotPaths {
  commandLine: string;
  /** The whole disk. */
  disk: string;
  guardFile: string;
}

/** `commandLine` is what the kernel was booted with. */
export const slotPaths = (stateDir: string): Omit<SlotPaths, 'commandLine'> => ({
  disk: `${DEVICE_FOLDER}/disk`,
  guardFile: `${stateDir}/system-trial`,
});

/** The slots of a board that was booted from one; undefined on any other device. */
export function openSlots(
  { commandLine, disk, guardFile }: SlotPaths,
  blobs: Pick<BlobStore, 'pathOf'>,
): SystemSlots | undefined {
  const booted = wordOf(commandLine, 'wherry.slot');
  if (booted !== 'a' && booted !== 'b') return undefined;
  const trialBoot = wordOf(commandLine, 'wherry.trial');
  return new UbootSlots({ disk, guardFile, booted, trialBoot, pathOf: (verity) => blobs.pathOf(verity) });
}

/** The last one counts, as for the kernel. */
const wordOf = (commandLine: string, name: string): string | undefined =>
  commandLine
    .trim()
    .split(/\s+/)
    .findLast((word) => word.startsWith(`${name}=`))
    ?.slice(name.length + 1);
