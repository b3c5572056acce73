import { nearest } from './nearest.ts';

/** Shared-memory channels of a release: what one may be, how large its files are, and what it costs the device. */
export const CHANNEL_MODES = ['lossy', 'latest', 'reliable'] as const;
export type ChannelMode = (typeof CHANNEL_MODES)[number];

const MIB = 1024 ** 2;
export const CHANNEL_LIMITS = {
  channels: 32,
  peers: 16,
  slotBytes: 16 * MIB,
  ringBytes: 256 * MIB,
  depth: 65_536,
} as const;

const DEPTHS = Array.from({ length: 16 }, (_, index) => 2 ** (index + 1));

const peers = {
  type: 'array',
  items: { type: 'string', maxLength: 32 },
  minItems: 1,
  maxItems: CHANNEL_LIMITS.peers,
  uniqueItems: true,
} as const;

/** A channel of a built release. */
export const manifestChannelSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['publishers', 'subscribers', 'slotSizeBytes', 'depth', 'mode'],
  properties: {
    /** Services, sorted. */
    publishers: peers,
    subscribers: peers,
    /** The largest message. */
    slotSizeBytes: { type: 'integer', minimum: 1, maximum: CHANNEL_LIMITS.slotBytes },
    /** Messages that a ring holds; each publisher has a ring of its own. */
    depth: { type: 'integer', enum: DEPTHS },
    /**
     * `lossy`: the newest win, nobody waits. `latest`: readers jump to the newest. `reliable`: the publisher waits for
     * the slowest reader, up to CHANNEL_BLOCK_MS.
     */
    mode: { enum: CHANNEL_MODES },
  },
} as const;

export interface ChannelDefinition {
  publishers: string[];
  subscribers: string[];
  slotSizeBytes: number;
  depth: number;
  mode: ChannelMode;
}

/** How long a publisher of a reliable channel waits for a full ring, ms; then the slowest reader is evicted. */
export const CHANNEL_BLOCK_MS = 1_000;

export const RING_HEADER_BYTES = 256;
const SLOT_HEADER_BYTES = 64;
const LINE_BYTES = 64;
/** An ack file has this for each ring. */
export const ACK_BYTES = 128;
export const META_BYTES = 8192;

const roundUp = (bytes: number, unit: number): number => Math.ceil(bytes / unit) * unit;

/** From one slot to the next. */
export const strideOf = (slotSizeBytes: number): number =>
  SLOT_HEADER_BYTES + roundUp(slotSizeBytes, LINE_BYTES);

export const ringBytes = ({
  slotSizeBytes,
  depth,
}: Pick<ChannelDefinition, 'slotSizeBytes' | 'depth'>): number =>
  RING_HEADER_BYTES + depth * strideOf(slotSizeBytes);

/** Sizes of a channel's files: meta, a ring for each publisher, an ack for each subscriber. */
export const channelFileBytes = (channel: ChannelDefinition): number[] => [
  META_BYTES,
  ...channel.publishers.map(() => ringBytes(channel)),
  ...channel.subscribers.map(() => ACK_BYTES * channel.publishers.length),
];

/** What its filesystem holds on a kernel with pages of this size: whole pages, and no more. */
export const channelTmpfsBytes = (channel: ChannelDefinition, pageBytes: number): number =>
  channelFileBytes(channel).reduce((total, bytes) => total + roundUp(bytes, pageBytes), 0);

/** Raspberry Pi 5; a kernel with smaller pages needs no more. */
const LARGEST_PAGE_BYTES = 16 * 1024;
const SMALLEST_PAGE_BYTES = 4 * 1024;
/** The kernel's own: superblock and root; inode and name of a file; a page's place in its file's tree (576 B for 64). */
const TMPFS_BYTES = 8 * 1024;
const TMPFS_FILE_BYTES = 2 * 1024;
const TMPFS_PAGE_BYTES = 10;

/** Memory of a channel, whatever the page size: its filesystem, and what the kernel needs to keep it. */
export function channelBudgetBytes(channel: ChannelDefinition): number {
  const held = channelTmpfsBytes(channel, LARGEST_PAGE_BYTES);
  const files = channelFileBytes(channel).length;
  const kept = TMPFS_BYTES + files * TMPFS_FILE_BYTES + (held / SMALLEST_PAGE_BYTES) * TMPFS_PAGE_BYTES;
  return held + roundUp(kept, SMALLEST_PAGE_BYTES);
}

type Channels = Readonly<Record<string, ChannelDefinition>>;

/** What the schema cannot say of a release's channels, one line each, with its path and what to do. */
export function channelFaults(
  channels: Channels,
  services: Readonly<Record<string, { update?: { strategy?: string | undefined } | undefined }>>,
): string[] {
  const names = Object.keys(services);
  return Object.entries(channels).flatMap(([name, channel]) => {
    const at = `channels.${name}`;
    return [
      ...peerFaults(`${at}.publishers`, channel.publishers, names),
      ...peerFaults(`${at}.subscribers`, channel.subscribers, names),
      ...ringFaults(at, channel),
      ...[...new Set([...channel.publishers, ...channel.subscribers])]
        .filter((service) => services[service]?.update?.strategy === 'start-then-stop')
        .map(
          (service) =>
            `services.${service}.update.strategy is start-then-stop, but two versions cannot both be on channel "${name}"; use stop-then-start`,
        ),
    ];
  });
}

function peerFaults(at: string, peers: readonly string[], names: readonly string[]): string[] {
  if (peers.length === 0) return [`${at} is empty; name a service, or remove the channel`];
  return peers.flatMap((peer, index) => {
    if (peers.indexOf(peer) < index) return [`${at} names "${peer}" again; name each service once`];
    if (names.includes(peer)) return [];
    const near = nearest(peer, names);
    return [`${at}: no service is called "${peer}"${near ? `; did you mean "${near}"?` : ''}`];
  });
}

function ringFaults(at: string, channel: ChannelDefinition): string[] {
  const { depth, slotSizeBytes } = channel;
  const faults: string[] = [];
  if (slotSizeBytes < 1 || slotSizeBytes > CHANNEL_LIMITS.slotBytes)
    faults.push(`${at}.slotSize is ${slotSizeBytes} bytes; wanted 1B to 16MiB`);
  if (!DEPTHS.includes(depth))
    faults.push(
      `${at}.depth is ${depth}; wanted a power of two from 2 to 65536, such as ${nearestDepth(depth)}`,
    );
  else if (ringBytes(channel) > CHANNEL_LIMITS.ringBytes)
    faults.push(
      `${at} has rings of ${ringBytes(channel)} bytes; wanted at most 256 MiB: choose a smaller slotSize or depth`,
    );
  return faults;
}

const nearestDepth = (depth: number): number => DEPTHS.find((each) => each >= depth) ?? CHANNEL_LIMITS.depth;

/** Whether two definitions make the same memory: the device then keeps the channel as it is. */
export const isSameChannel = (one: ChannelDefinition, other: ChannelDefinition | undefined): boolean =>
  other !== undefined &&
  one.slotSizeBytes === other.slotSizeBytes &&
  one.depth === other.depth &&
  one.mode === other.mode &&
  one.publishers.join() === other.publishers.join() &&
  one.subscribers.join() === other.subscribers.join();
