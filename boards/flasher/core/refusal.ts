/** What is known of the device that somebody wants an image on. */
export interface DeviceFacts {
  /** As the kernel names it: "sda". */
  name: string;
  kind: 'disk' | 'partition';
  bytes: number;
  isReadOnly: boolean;
  /** What is in use of it or of its partitions, directly or through what is stacked on them. */
  uses: readonly DeviceUse[];
}

export interface DeviceUse {
  /** The device that is used: "sda2", "dm-0". */
  name: string;
  how: 'mounted' | 'swap' | 'held';
  /** Mount point, or the holder's name; empty for swap. */
  where: string;
}

/** Mount points of a running system: a disk with one of them is never a card in a reader. */
const SYSTEM = ['/', '/usr', '/var', '/home', '/boot', '/boot/efi', '/boot/firmware'];

/** Why the image must not be written there, or undefined. A sentence's end: "…: <this>". */
export function flashRefusal(
  { name, kind, bytes, isReadOnly, uses }: DeviceFacts,
  imageBytes: number,
): string | undefined {
  if (kind === 'partition') return 'it is a partition; wanted the whole disk';
  const system = uses.find(
    ({ how, where }) => how === 'swap' || (how === 'mounted' && SYSTEM.includes(where)),
  );
  if (system)
    return `it is a disk of this system (${system.name} is ${useText(system)}); give the card's own device`;
  const [use] = uses;
  if (use) {
    const others = uses.length > 1 ? ` and ${uses.length - 1} more` : '';
    return `${use.name} is ${useText(use)}${others}; ${use.how === 'mounted' ? `unmount it, as with umount /dev/${name}?*` : 'take it out of use'}`;
  }
  if (isReadOnly) return 'it is read-only; move the lock of the card, or use another reader';
  if (bytes === 0) return 'it has no medium; put the card in';
  if (bytes < imageBytes)
    return `it has ${mib(bytes)} MiB, the image ${mib(imageBytes)} MiB; take a larger card`;
  return undefined;
}

function useText({ how, where }: DeviceUse): string {
  if (how === 'mounted') return `mounted at ${where}`;
  return how === 'swap' ? 'swap' : `part of ${where}`;
}

const mib = (bytes: number): number => Math.ceil(bytes / 1024 ** 2);
