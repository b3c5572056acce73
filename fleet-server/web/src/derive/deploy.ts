import type { DeviceSummary, Release, UpdateSizes } from '../api/types.ts';
import { bytes, count } from '../format/quantity.ts';

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
  const systems = release.system?.sizeBytes ?? {};
  return devices.reduce(
    (sum, { platform, board }) => sum + (release.sizeBytes[platform] ?? 0) + (systems[board] ?? 0),
    0,
  );
}

/** What an update sends in all, and to each device by what it runs. */
export function sizeLines({ items }: UpdateSizes): { total: string; lines: string[] } {
  const isFinal = items.every((item) => item.isFinal);
  const sum = (of: (item: UpdateSizes['items'][number]) => number) =>
    items.reduce((total, item) => total + item.devices * of(item), 0);
  const [wire, full] = [sum(({ wireBytes }) => wireBytes), sum(({ fullBytes }) => fullBytes)];
  const instead = wire < full ? ` instead of ${bytes(full)}` : '';
  return {
    total: isFinal ? `${bytes(wire)}${instead}` : `at most ${bytes(wire)}; deltas are being made`,
    lines: items.map(({ base, board, devices, wireBytes, isFinal }) => {
      const kind = board === undefined ? '' : `, with the system of ${board}`;
      const who = `${count(devices, 'device')} on ${base ? `${base.name} ${base.version}` : 'no known release'}${kind}`;
      return `${who}: ${isFinal ? '' : 'at most '}${bytes(wireBytes)} each`;
    }),
  };
}
