import type { SourceService } from './resolve.ts';

type Services = Readonly<Record<string, SourceService>>;

/** What two versions of a service cannot both have while the new one runs beside the old one. */
export function updateFaults(services: Services): string[] {
  return Object.entries(services).flatMap(([name, service]) => {
    if (service.update?.strategy !== 'start-then-stop') return [];
    return conflicts(name, service, services).map(
      (what) => `services.${name}.update.strategy is start-then-stop, but ${what}; use stop-then-start`,
    );
  });
}

function conflicts(name: string, { ports, network, devices, mounts = [] }: SourceService, all: Services) {
  const owned = mounts.filter(({ volume, readOnly }) => readOnly !== true && !isShared(volume, name, all));
  return [
    ...(ports?.length ? ['two versions cannot publish the same port of the device'] : []),
    ...(network === 'host' ? ["two versions cannot have the device's own network"] : []),
    ...(devices?.length ? ['two versions cannot hold the same device'] : []),
    ...owned.map(({ volume }) => `it alone writes to volume "${volume}", and two versions would at once`),
  ];
}

/** Who shares a volume with others reckons with other writers. */
const isShared = (volume: string, user: string, services: Services): boolean =>
  Object.entries(services).some(
    ([name, { mounts = [] }]) => name !== user && mounts.some((mount) => mount.volume === volume),
  );
