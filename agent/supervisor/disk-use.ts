import { statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ServiceStatus } from '../../protocol/status.ts';
import type { ServiceSpec } from './service-spec.ts';

/** Where a service's own filesystems are mounted. */
export interface DiskPlaces {
  homeOf(service: string): string;
  volumePath(volume: string): string;
}

export type DiskUse = Pick<NonNullable<ServiceStatus['usage']>, 'diskBytes' | 'volumeBytes'>;

/**
 * What a service's writable layer and its volumes hold, asked of their filesystems, which are sized: nothing is walked.
 * Absent where it has none.
 */
export function diskUse(places: DiskPlaces, { name, mounts, security }: ServiceSpec): DiskUse {
  const writable = security.readOnlyRoot ? undefined : usedBytes(join(places.homeOf(name), 'rw'));
  const volumes = [...new Set(mounts.map(({ volume }) => volume))].flatMap(
    (volume) => usedBytes(places.volumePath(volume)) ?? [],
  );
  return {
    ...(writable !== undefined && { diskBytes: writable }),
    ...(volumes.length > 0 && { volumeBytes: volumes.reduce((sum, bytes) => sum + bytes, 0) }),
  };
}

/** Undefined when nothing is mounted there: the numbers would be those of the filesystem around it. */
function usedBytes(mount: string): number | undefined {
  try {
    if (statSync(mount).dev === statSync(dirname(mount)).dev) return undefined;
    const { blocks, bfree, bsize } = statfsSync(mount);
    return (blocks - bfree) * bsize;
  } catch {
    return undefined;
  }
}
