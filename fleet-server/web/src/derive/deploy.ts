import type { DeviceSummary, Release } from '../api/types.ts';

export interface Choice {
  device: DeviceSummary;
  /** Why it cannot be chosen; undefined = it can. */
  refusal?: string;
  /** Worth knowing before it is chosen. */
  note?: string;
}

/** Devices that can take the release first. */
export function choicesFor(release: Release, devices: readonly DeviceSummary[]): Choice[] {
  return devices
    .map((device) => choiceFor(release, device))
    .sort(
      (a, b) =>
        Number(Boolean(a.refusal)) - Number(Boolean(b.refusal)) ||
        a.device.id.localeCompare(b.device.id, 'en', { numeric: true }),
    );
}

function choiceFor(release: Release, device: DeviceSummary): Choice {
  if (!release.boards.includes(device.board)) {
    return {
      device,
      refusal: `Its board is ${device.board}; the release is for ${release.boards.join(', ')}`,
    };
  }
  if (device.pinned) {
    const { desired, pinned } = device;
    const to = desired ? ` to ${desired.release.name} ${desired.release.version}` : '';
    return { device, refusal: `Pinned${to} by ${pinned.by}; unpin it on its page first` };
  }
  if (!(device.platform in release.sizeBytes)) {
    return { device, refusal: `The release holds no image for ${device.platform}` };
  }
  if (runs(device, release)) return { device, note: 'Runs it already' };
  if (!device.isOnline) return { device, note: 'Offline: gets it when it is back' };
  return { device };
}

export function runs(device: DeviceSummary, release: Pick<Release, 'name' | 'version'>): boolean {
  return device.current?.name === release.name && device.current.version === release.version;
}

/** Bytes to send if none of the devices had anything yet. */
export function mostBytes(release: Release, devices: readonly DeviceSummary[]): number {
  return devices.reduce((sum, { platform }) => sum + (release.sizeBytes[platform] ?? 0), 0);
}
