import type { ChannelDefinition } from '../../protocol/channels.ts';
import type { Manifest, ManifestService } from '../../protocol/manifest.ts';
import { parseBitRate, parseBytes } from '../../protocol/quantities.ts';
import type { ReleaseSource } from '../../protocol/release-source.ts';

type Source = ReleaseSource['services'][string]['resources'];
type Resources = ManifestService['resources'];

/** A budget in plain numbers. What release.yaml does not ask for stays out, so that an old release keeps its digest. */
export function resolveResources({ memory, cpu, pids, ...more }: Source): Resources {
  return {
    memoryMaxBytes: parseBytes(memory.max) ?? 0,
    cpuMax: cpu.max,
    pidsMax: pids,
    ...present({
      memoryHighBytes: bytesOf(memory.high),
      memoryMinBytes: bytesOf(memory.min),
      swapMaxBytes: bytesOf(memory.swap) || undefined,
      cpuWeight: cpu.weight,
      cpuset: cpu.cpuset,
      io: more.io && resolveIo(more.io),
      network: more.network && resolveNetwork(more.network),
      disk: more.disk && resolveDisk(more.disk),
      logs: more.logs && resolveLogs(more.logs),
      openFiles: more.openFiles,
    }),
  };
}

const resolveIo = ({ weight, read, write, readIops, writeIops }: NonNullable<Source['io']>) =>
  present({ weight, readBps: bytesOf(read), writeBps: bytesOf(write), readIops, writeIops });

const resolveNetwork = ({ ingress, egress }: NonNullable<Source['network']>) =>
  present({ ingressBps: bitsOf(ingress), egressBps: bitsOf(egress) });

const resolveDisk = ({ writable, backing, tmp, shm }: NonNullable<Source['disk']>) =>
  present({
    writableBytes: bytesOf(writable),
    backing: backing === 'disk' ? backing : undefined,
    tmpBytes: bytesOf(tmp),
    shmBytes: bytesOf(shm),
  });

const resolveLogs = ({ size, rate }: NonNullable<Source['logs']>) =>
  present({ sizeBytes: bytesOf(size), rateBytes: bytesOf(rate) });

/** Volumes get gids of their own, the same in each build: 64000 and up by sorted name, clear of Debian's ranges. */
const FIRST_VOLUME_GID = 64_000;

export function resolveVolumes(volumes: ReleaseSource['volumes']): Manifest['volumes'] {
  return Object.fromEntries(
    sortedEntries(volumes ?? {}).map(([name, { size, backing }], index) => [
      name,
      {
        sizeBytes: parseBytes(size) ?? 0,
        gid: FIRST_VOLUME_GID + index,
        ...(backing === 'disk' && { backing }),
      },
    ]),
  );
}

/** Undefined where release.yaml declares none. */
export function resolveNetworks(networks: ReleaseSource['networks']): Manifest['networks'] {
  if (networks === undefined || Object.keys(networks).length === 0) return undefined;
  return Object.fromEntries(
    sortedEntries(networks).map(([name, { internal }]) => [
      name,
      internal ? { internal: true as const } : {},
    ]),
  );
}

const DEPTH = 8;

/** Undefined where release.yaml declares none. */
export function resolveChannels(channels: ReleaseSource['channels']): Manifest['channels'] {
  if (channels === undefined || Object.keys(channels).length === 0) return undefined;
  return Object.fromEntries(
    sortedEntries(channels).map(([name, { publishers, subscribers, slotSize, depth, mode }]) => [
      name,
      {
        publishers: [...publishers].sort(),
        subscribers: [...subscribers].sort(),
        slotSizeBytes: parseBytes(slotSize) ?? 0,
        depth: depth ?? DEPTH,
        mode: mode ?? ('lossy' as const),
      } satisfies ChannelDefinition,
    ]),
  ) as Manifest['channels'];
}

export const sortedEntries = <T>(record: Readonly<Record<string, T>>): [string, T][] =>
  Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));

/** The object without its undefined members. */
export function present<T extends object>(value: T): Present<T> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Present<T>;
}
type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

const bytesOf = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : parseBytes(text);
const bitsOf = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : parseBitRate(text);
