import { join } from 'node:path';
import { LEASE_FOLDER } from '../../../protocol/service-lease.ts';
import { filesOf } from '../channels/core/layout.ts';
import { serviceOf } from '../instance-name.ts';
import type { ServiceChannel, ServiceSpec } from '../service-spec.ts';
import type { Placement } from './placement.ts';

interface Mount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

const TMP_BYTES = 16 * 1024 * 1024;
const SHM_BYTES = 1024 * 1024;

/** `mounts` of config.json, in the order in which they are made. */
export const mountsOf = (spec: ServiceSpec, place: Placement): Mount[] => [
  ...systemMounts(spec, place),
  ...volumeMounts(spec, place),
  ...(place.devices ?? []).map(({ source, target, isWritable }) =>
    bind(source, target, ['nosuid', 'noexec', isWritable ? 'rw' : 'ro']),
  ),
  ...secretMounts(spec, place),
  ...(place.leaseDir === undefined
    ? []
    : [bind(place.leaseDir, LEASE_FOLDER, ['nosuid', 'nodev', 'noexec', 'rw'])]),
  ...(place.resolvConf === undefined
    ? []
    : [bind(place.resolvConf, '/etc/resolv.conf', ['nosuid', 'nodev', 'noexec', 'ro'])]),
  ...channelMounts(spec, place),
  ...(place.mounts ?? []).map(({ source, target, options }) => bind(source, target, options)),
];

/** Folders that must exist in the root filesystem before anything can be mounted over them. */
export const mountPoints = (spec: ServiceSpec): string[] => [
  '/proc',
  '/sys',
  '/dev',
  ...(hasOwnTmp(spec) ? ['/tmp'] : []),
  ...spec.mounts.map(({ path }) => path),
  ...(spec.update?.lease ? [LEASE_FOLDER] : []),
];

/** The same for files. */
export const fileMountPoints = ({
  name,
  secrets = [],
  segments = [],
  channels = [],
}: ServiceSpec): string[] => [
  ...secrets.map(({ path }) => path),
  ...(segments.length > 0 ? ['/etc/resolv.conf'] : []),
  ...channels.flatMap((channel) => channelFiles(channel, name).map(({ path }) => path)),
];

const hasOwnTmp = ({ security, resources }: ServiceSpec): boolean =>
  security.readOnlyRoot || resources.disk?.tmpBytes !== undefined;

function systemMounts(spec: ServiceSpec, place: Placement): Mount[] {
  const { tmpBytes = TMP_BYTES, shmBytes = SHM_BYTES } = spec.resources.disk ?? {};
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'noexec', 'strictatime', 'mode=755', 'size=64k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
    },
    tmpfs('/dev/shm', ['noexec', 'mode=1777', `size=${shmBytes}`]),
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    sysMount(spec, place),
    ...(hasOwnTmp(spec) ? [tmpfs('/tmp', ['mode=1777', `size=${tmpBytes}`])] : []),
  ];
}

/**
 * The kernel lets a fresh sysfs be mounted only by the owner of the network namespace. Where that is another, one
 * without the mounts of the machine below it (its cgroups above all) is bound, or the machine's.
 */
function sysMount({ network }: ServiceSpec, { netns, sysfs }: Placement): Mount {
  const options = ['nosuid', 'noexec', 'nodev', 'ro'];
  if (network !== 'host' && netns === undefined)
    return { destination: '/sys', type: 'sysfs', source: 'sysfs', options };
  if (sysfs !== undefined) return bind(sysfs, '/sys', options);
  return { destination: '/sys', type: 'none', source: '/sys', options: ['rbind', ...options] };
}

const volumeMounts = (spec: ServiceSpec, { volumePath }: Placement): Mount[] =>
  spec.mounts.map(({ volume, path, readOnly }) =>
    bind(volumePath(volume), path, ['nosuid', 'nodev', 'noexec', readOnly ? 'ro' : 'rw']),
  );

const secretMounts = ({ secrets = [] }: ServiceSpec, { secretsDir }: Placement): Mount[] =>
  secretsDir === undefined
    ? []
    : secrets.map(({ name, path }) =>
        bind(join(secretsDir, name), path, ['nosuid', 'nodev', 'noexec', 'ro']),
      );

/** Where a service finds its channels, a folder each. */
export const CHANNELS_FOLDER = '/run/wherry/ipc';

/** The only thing that it may write is its own. Of acks a publisher sees all, a subscriber its own only. */
function channelFiles(
  channel: ServiceChannel,
  instance: string,
): { file: string; path: string; isOwn: boolean }[] {
  const service = serviceOf(instance);
  const publishes = channel.publishers.includes(service);
  return filesOf(channel)
    .map(({ name, writer, kind }) => ({ file: name, isOwn: writer === service, kind }))
    .filter(({ kind, isOwn }) => kind !== 'ack' || publishes || isOwn)
    .map(({ file, isOwn }) => ({ file, isOwn, path: join(CHANNELS_FOLDER, channel.name, file) }));
}

function channelMounts({ name, channels = [] }: ServiceSpec, { channelsDir }: Placement): Mount[] {
  if (channelsDir === undefined) return [];
  return channels.flatMap((channel) =>
    channelFiles(channel, name).map(({ file, path, isOwn }) =>
      bind(join(channelsDir, channel.id, file), path, ['nosuid', 'nodev', 'noexec', isOwn ? 'rw' : 'ro']),
    ),
  );
}

const bind = (source: string, destination: string, options: readonly string[]): Mount => ({
  destination,
  type: 'bind',
  source,
  options: ['bind', ...options],
});

const tmpfs = (destination: string, options: string[]): Mount => ({
  destination,
  type: 'tmpfs',
  source: 'tmpfs',
  options: ['nosuid', 'nodev', ...options],
});
