import type { AskUpdateSizes, UpdateSizes } from '../../../rest/api.ts';
import type { Fleet } from './fleet.ts';

const MIB = 1024 * 1024;

/** What the simulated server would send: next to nothing to a device whose release is near, all of it to a new one. */
export function updateSizes(fleet: Fleet, { releaseId, devices }: AskUpdateSizes): UpdateSizes | undefined {
  const release = fleet.releases.find(({ id }) => id === releaseId);
  if (!release) return undefined;
  const running = Map.groupBy(
    devices.flatMap((id) => fleet.device(id)?.detail ?? []),
    ({ current }) =>
      fleet.releases.find((held) => held.name === current?.name && held.version === current.version),
  );
  return {
    items: [...running].map(([base, group]) => ({
      base: base ? { id: base.id, name: base.name, version: base.version } : null,
      platform: group[0]?.platform ?? '',
      devices: group.length,
      wireBytes: base?.id === release.id ? 0 : base ? 1.4 * MIB : 31 * MIB,
      fullBytes: base?.id === release.id ? 0 : 31 * MIB,
      isFinal: true,
    })),
  };
}
