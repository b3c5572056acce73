import { join } from 'node:path';
import type { Degradation } from '../../../protocol/status.ts';
import { cdiLoosenings, cdiMountPoints, placeDevices } from '../devices/place-devices.ts';
import { ErofsRootfs } from '../images/erofs-rootfs.ts';
import { type IdMapper, PerlIdMapper } from '../images/id-mapper.ts';
import { mountLease } from '../leases/mount-lease.ts';
import { mountSecrets } from '../secrets/mount-secrets.ts';
import { SecretStore } from '../secrets/secret-store.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { ownSysfs } from './own-sysfs.ts';
import type { IdRange, Placement } from './placement.ts';
import { UserNamespaces } from './user-namespace.ts';

export interface IsolationOptions {
  stateDir: string;
  runDir: string;
  blobPath: (verity: string) => string;
  /** Where CDI specifications are, if not in /etc/cdi and /var/run/cdi. */
  cdiFolders?: readonly string[];
  mapper?: IdMapper;
}

/** What keeps services apart on this machine, made to fit each other. */
export interface Isolation {
  rootfs: ErofsRootfs;
  secrets: SecretStore;
  /**
   * Makes ready what a container has beside its root and network: ids, devices, secrets, its view of the volumes. All
   * of it is mounted below the home of its root and goes with that. Call it after the root is mounted, once per start.
   */
  placementOf(spec: ServiceSpec): Promise<Partial<Placement>>;
  /** Its ids on this machine; undefined = the machine's own. */
  rangeOf(spec: ServiceSpec): Promise<IdRange | undefined>;
  /** In which it is less isolated for what is on this machine, beside what its manifest says. */
  loosenings(spec: ServiceSpec): string[];
  /** What of the isolation this machine cannot hold; known once the first service was mounted. */
  degraded(spec: ServiceSpec): Degradation[];
}

export function openIsolation(options: IsolationOptions): Isolation {
  const { stateDir, runDir, blobPath, cdiFolders, mapper = new PerlIdMapper() } = options;
  const namespaces = new UserNamespaces({
    stateDir,
    runDir,
    mapper,
    volumePath: (volume) => rootfs.volumePath(volume),
  });
  const secrets = new SecretStore(stateDir);
  const rootfs: ErofsRootfs = new ErofsRootfs({
    runDir,
    blobPath,
    stateDir,
    ids: { rangeOf: (spec) => namespaces.rangeOf(spec), mapper },
    morePoints: (spec) => cdiMountPoints(spec, cdiFolders),
  });
  const placementOf = async (spec: ServiceSpec): Promise<Partial<Placement>> => {
    const home = rootfs.homeOf(spec.name);
    const ids = await namespaces.rangeOf(spec);
    const brought = await placeDevices(spec, join(home, 'devices'), ids, cdiFolders);
    const secretsDir = await mountSecrets(spec, secrets, join(home, 'secrets'), ids?.hostBase ?? 0);
    const leaseDir = await mountLease(spec, join(home, 'lease'), ids?.hostBase ?? 0);
    return {
      ...brought,
      ids,
      secretsDir,
      leaseDir,
      volumePath: (volume) => rootfs.volumePath(volume, spec.name),
      sysfs: spec.network === 'none' ? undefined : await ownSysfs(runDir),
    };
  };
  return {
    rootfs,
    secrets,
    placementOf,
    rangeOf: (spec) => namespaces.rangeOf(spec),
    loosenings: (spec) => cdiLoosenings(spec, cdiFolders),
    degraded: (spec) => namespaces.degraded(spec),
  };
}
