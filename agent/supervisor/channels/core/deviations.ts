import { channelTmpfsBytes } from '../../../../protocol/channels.ts';
import type { ServiceChannel } from '../../service-spec.ts';
import { createdNsOf, filesOf, RING, ringFixed } from './layout.ts';

/** A channel's folder as the machine shows it. */
export interface ObservedChannel {
  /** Undefined where nothing is mounted. */
  mount: { sizeBytes: number; inodes: number } | undefined;
  /** By name. `blocksBytes`: memory that the file has. `head`: its first bytes; all of meta. */
  files: ReadonlyMap<string, ObservedFile>;
  /** Undefined where there is no cgroup. */
  limitBytes: number | undefined;
}

export interface ObservedFile {
  bytes: number;
  blocksBytes: number;
  uid: number;
  mode: number;
  head: Uint8Array;
}

/** One thing that is not as it should be. `by`: the only service that could have done it; undefined = none could. */
export interface Deviation {
  what: 'mount' | 'cgroup' | 'memory' | 'size' | 'owner' | 'header' | 'meta';
  file?: string;
  by?: string | undefined;
  text: string;
}

export interface Wanted {
  channel: ServiceChannel;
  pageBytes: number;
  limitBytes: number;
  /** Host user of each service on the channel. */
  owners: ReadonlyMap<string, number>;
}

export const modeOf = (kind: 'meta' | 'ring' | 'ack'): number => (kind === 'meta' ? 0o444 : 0o644);

/** The root and each file. */
export const inodesOf = (channel: ServiceChannel): number => filesOf(channel).length + 1;

/** Whether a channel was whole once: meta is written last. */
export const isMade = (channel: ServiceChannel, { mount, files }: ObservedChannel): boolean =>
  mount !== undefined && createdNsOf(files.get('meta')?.head ?? new Uint8Array(), channel) !== undefined;

/** What of a channel is not as it should be, from the mount inwards; empty = it is whole. */
export function deviationsOf(wanted: Wanted, seen: ObservedChannel): Deviation[] {
  const { channel, pageBytes, limitBytes } = wanted;
  const sizeBytes = channelTmpfsBytes(channel, pageBytes);
  if (seen.mount === undefined)
    return [
      {
        what: 'mount',
        text: 'its filesystem is not mounted; who runs keeps the old one until it starts again',
      },
    ];
  const found: Deviation[] = [];
  const { sizeBytes: heldBytes, inodes } = seen.mount;
  if (heldBytes !== sizeBytes || inodes !== inodesOf(channel))
    found.push({
      what: 'mount',
      text: `its filesystem has ${heldBytes} bytes and ${inodes} inodes instead of ${sizeBytes} and ${inodesOf(channel)}`,
    });
  // The kernel rounds the limit down to whole pages.
  if (seen.limitBytes === undefined || Math.abs(seen.limitBytes - limitBytes) >= pageBytes)
    found.push({
      what: 'cgroup',
      text: `its cgroup is limited to ${seen.limitBytes ?? 'nothing'} instead of ${limitBytes} bytes`,
    });
  const meta = seen.files.get('meta')?.head ?? new Uint8Array();
  const createdNs = createdNsOf(meta, channel);
  if (createdNs === undefined)
    found.push({ what: 'meta', file: 'meta', text: 'meta is not what was written' });
  return [...found, ...fileDeviations(wanted, seen, createdNs)];
}

function fileDeviations(
  { channel, pageBytes, owners }: Wanted,
  { files }: ObservedChannel,
  createdNs: bigint | undefined,
): Deviation[] {
  return filesOf(channel).flatMap(({ name, bytes, writer, kind }): Deviation[] => {
    const file = files.get(name);
    if (file === undefined) return [{ what: 'memory', file: name, text: `${name} is missing` }];
    const found: Deviation[] = [];
    const whole = Math.ceil(bytes / pageBytes) * pageBytes;
    if (file.bytes !== bytes)
      found.push({
        what: 'size',
        file: name,
        by: writer,
        text: `${name} has ${file.bytes} bytes instead of ${bytes}`,
      });
    if (file.blocksBytes < whole)
      found.push({
        what: 'memory',
        file: name,
        by: writer,
        text: `${name} has memory for ${file.blocksBytes} of its ${whole} bytes`,
      });
    const uid = writer === undefined ? 0 : (owners.get(writer) ?? 0);
    if (file.uid !== uid || file.mode !== modeOf(kind))
      found.push({
        what: 'owner',
        file: name,
        by: file.uid === uid ? writer : undefined,
        text: `${name} has owner ${file.uid} and mode ${file.mode.toString(8)}`,
      });
    if (kind === 'ring' && createdNs !== undefined && !hasHeader(channel, createdNs, file.head))
      found.push({
        what: 'header',
        file: name,
        by: writer,
        text: `the header of ${name} is not what was written`,
      });
    return found;
  });
}

function hasHeader(channel: ServiceChannel, createdNs: bigint, head: Uint8Array): boolean {
  const wanted = ringFixed(channel, createdNs);
  return head.length >= RING.fixedBytes && wanted.every((byte, index) => head[index] === byte);
}
