import type { ManifestService } from './manifest.ts';

/** What `loosenings.ts` reads of a service: a manifest's service and the supervisor's own form both have it. */
export type IsolatedService = Pick<ManifestService, 'security' | 'network' | 'ports' | 'devices'> & {
  images?: ManifestService['images'];
  uid?: number;
  gid?: number;
};

/**
 * Everything in which a service is less isolated than the default, one short sentence each; empty = nothing.
 * The order is fixed, so that two releases can be compared line by line.
 */
export function looseningsOf(service: IsolatedService): string[] {
  const { security } = service;
  const found = [...security.capabilities]
    .map(withPrefix)
    .sort()
    .map((name) => `holds the capability ${name}`);
  const rights = needsHostIds(service);
  if (security.userNamespace !== 'host' && rights.length > 0) {
    found.push(`has the host's user ids, because the kernel honours ${rights.join(', ')} only there`);
  }
  if (security.userNamespace === 'host') found.push("has the host's user ids (userNamespace: host)");
  if (runsAsRoot(service)) found.push('runs as root inside its container (allowRoot)');
  if (!security.readOnlyRoot) found.push('may write into its root filesystem (readOnlyRoot: false)');
  if (security.seccomp === 'unconfined') found.push('may use every system call (seccomp: unconfined)');
  if (security.syscalls?.length) {
    found.push(`may use system calls beyond the default: ${[...security.syscalls].sort().join(', ')}`);
  }
  if (security.newPrivileges === true) found.push('may gain rights at exec (newPrivileges)');
  if (service.network === 'host') found.push('shares the network of the host (network: host)');
  for (const { host, container, protocol, address } of service.ports ?? []) {
    found.push(`is reached from outside at ${address ?? '*'}:${host}/${protocol}, its port ${container}`);
  }
  for (const device of service.devices ?? []) {
    if (device.kind === 'cdi') found.push(`has what the CDI device ${device.name} brings`);
    else found.push(`may ${device.access === 'rw' ? 'read and write' : 'read'} the device ${device.path}`);
  }
  return found;
}

/** capabilities(7): the kernel asks for these in the user namespace that owns what they act on. */
const OWN_RIGHTS = new Set(
  [
    'CHOWN',
    'DAC_OVERRIDE',
    'FOWNER',
    'FSETID',
    'IPC_OWNER',
    'KILL',
    'SETFCAP',
    'SETGID',
    'SETPCAP',
    'SETUID',
  ].concat(['SYS_CHROOT', 'SYS_PTRACE']),
);
const NETWORK_RIGHTS = new Set(['NET_ADMIN', 'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_RAW']);

/** The capabilities that would do nothing in a user namespace of the service's own; such a service gets none. */
export const needsHostIds = ({
  security,
  network,
}: Pick<IsolatedService, 'security' | 'network'>): string[] =>
  security.capabilities
    .map(withPrefix)
    .sort()
    .filter((name) => {
      const short = name.slice('CAP_'.length);
      return !OWN_RIGHTS.has(short) && !(network === 'none' && NETWORK_RIGHTS.has(short));
    });

const withPrefix = (name: string): string => (name.startsWith('CAP_') ? name : `CAP_${name}`);

/** User 0 on any platform: the user of one image may differ from that of another. */
const runsAsRoot = ({ images, uid }: IsolatedService): boolean =>
  uid === 0 || Object.values(images ?? {}).some((image) => image?.uid === 0);
