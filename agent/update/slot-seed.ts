import { PIECE_BYTES } from '../../protocol/fsverity.ts';
import type { ManifestBlob } from '../../protocol/manifest.ts';
import type { PartialBlob, SlotPart, SystemSlots } from './ports.ts';

/** The system of a release as its board has it, and the slots that the board was booted from. */
export interface SeedParts {
  system: Record<SlotPart, ManifestBlob>;
  slots: Pick<SystemSlots, 'read'>;
  onTaken(bytes: number): void;
}

/**
 * Takes over from the booted slot what a blob has alike in the same place. A system that was flashed is in no blob: but
 * for this the first release that brings it, or one that is nearly it, would be fetched whole. Each piece is checked as a
 * fetched one is. Throws what the disk says.
 */
export async function fillFromSlot(
  layer: ManifestBlob,
  blob: PartialBlob,
  { system, slots, onTaken }: SeedParts,
  signal: AbortSignal,
): Promise<void> {
  const part = (['boot', 'root'] as const).find((each) => system[each].verity === layer.verity);
  if (part === undefined) return;
  const buffer = Buffer.allocUnsafe(PIECE_BYTES);
  for (const piece of blob.missing()) {
    if (signal.aborted) break;
    const at = piece * PIECE_BYTES;
    const data = buffer.subarray(0, layer.size - at);
    await slots.read(part, at, data);
    if (await blob.write(piece, data)) onTaken(data.length);
  }
}
