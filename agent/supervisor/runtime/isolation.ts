import { join } from 'node:path';
import { placeDevices } from '../devices/place-devices.ts';
import type { ErofsRootfs } from '../images/erofs-rootfs.ts';
import { mountSecrets } from '../secrets/mount-secrets.ts';
import type { SecretStore } from '../secrets/secret-store.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { ownSysfs } from './own-sysfs.ts';
import type { Placement } from './placement.ts';
import type { UserNamespaces } from './user-namespace.ts';

export interface IsolationParts {
  runDir: string;
  rootfs: ErofsRootfs;
  /** Absent = no service has a user namespace. */
  ids?: UserNamespaces | undefined;
  secrets: SecretStore;
  cdiFolders?: readonly string[];
}

/**
 * Makes ready what a container has beside its root and network: ids, devices, secrets, its view of the volumes. All of
 * it is mounted below the home of its root and goes with that. Call it after the root is mounted, once per start.
 */
export async function isolate(parts: IsolationParts, spec: ServiceSpec): Promise<Partial<Placement>> {
  const { runDir, rootfs, secrets, cdiFolders } = parts;
  const home = rootfs.homeOf(spec.name);
  const ids = await parts.ids?.rangeOf(spec);
  const brought = await placeDevices(spec, join(home, 'devices'), ids, cdiFolders);
  const secretsDir = await mountSecrets(spec, secrets, join(home, 'secrets'), ids?.hostBase ?? 0);
  return {
    ...brought,
    ids,
    secretsDir,
    volumePath: (volume) => rootfs.volumePath(volume, spec.name),
    sysfs: spec.network === 'none' ? undefined : await ownSysfs(runDir),
  };
}
