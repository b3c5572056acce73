import {
  ACK_BYTES,
  CHANNEL_BLOCK_MS,
  META_BYTES,
  RING_HEADER_BYTES,
  ringBytes,
  strideOf,
} from '../../../../protocol/channels.ts';
import type { ServiceChannel } from '../../service-spec.ts';
import { crc32c } from './crc32c.ts';

/**
 * The files of a channel, byte for byte; docs/channels.md has the tables. All numbers are little endian. The agent
 * writes meta, and the first 64 bytes of a ring before anybody maps it; what follows there is the publisher's.
 */
const META_MAGIC = 'WIPM';
const RING_MAGIC = 'WIPC';
const MAJOR = 1;
const NAME_BYTES = 64;
const PEER_BYTES = 128;
const MODES = { lossy: 0, latest: 1, reliable: 2 } as const;

export const META = {
  /** What never changes: geometry, checksum, name. */
  fixedBytes: 128,
  publisherCount: 32,
  subscriberCount: 36,
  created: 48,
  checksum: 60,
  name: 64,
  /** Odd while the agent writes, and raised by two with each change. */
  changes: 128,
  publishers: 192,
  subscribers: 2240,
  peerBytes: PEER_BYTES,
  up: 64,
  /** Of a publisher; `startedAt` is for the agent alone: the start that was counted last, Unix ms. */
  starts: 68,
  startedAt: 72,
  /** Of a subscriber. */
  evicted: 68,
  evictions: 72,
} as const;

export const RING = {
  fixedBytes: 64,
  head: 64,
  epoch: 68,
  head64: 72,
  bytes: 128,
  lastPublishNs: 136,
  wakes: 144,
  waiting: 192,
  blocked: 200,
  dropped: 208,
  countersEnd: 216,
} as const;

export const ACK = {
  attachedEpoch: 4,
  overruns: 8,
  resets: 16,
  torn: 24,
  cursor: 64,
  received: 72,
  bytes: ACK_BYTES,
} as const;

export const SLOT = { length: 4, sequence: 8, timestampNs: 16, type: 24, headerBytes: 64 } as const;

/** The same number wherever the definition is the same: libraries tell one making of a channel from another by it. */
export const channelNumber = ({ id }: Pick<ServiceChannel, 'id'>): number =>
  Number.parseInt(id.slice(id.lastIndexOf('.') + 1, id.lastIndexOf('.') + 9), 16) >>> 0;

/** All of meta of a channel that nobody is on yet. `createdNs`: CLOCK_REALTIME. */
export function newMeta(channel: ServiceChannel, createdNs: bigint): Uint8Array {
  const bytes = new Uint8Array(META_BYTES);
  bytes.set(metaFixed(channel, createdNs));
  channel.publishers.forEach((name, index) => putText(bytes, META.publishers + index * PEER_BYTES, name));
  channel.subscribers.forEach((name, index) => putText(bytes, META.subscribers + index * PEER_BYTES, name));
  return bytes;
}

/** The first META.fixedBytes. */
export function metaFixed(channel: ServiceChannel, createdNs: bigint): Uint8Array {
  const bytes = new Uint8Array(META.fixedBytes);
  const view = viewOf(bytes);
  putText(bytes, 0, META_MAGIC);
  view.setUint16(4, MAJOR, true);
  const numbers = [
    META_BYTES,
    channelNumber(channel),
    channel.slotSizeBytes,
    strideOf(channel.slotSizeBytes),
    channel.depth,
    MODES[channel.mode],
    channel.publishers.length,
    channel.subscribers.length,
  ];
  for (const [index, value] of numbers.entries()) view.setUint32(8 + index * 4, value, true);
  view.setBigUint64(40, BigInt(ringBytes(channel)), true);
  view.setBigUint64(META.created, createdNs, true);
  view.setUint32(56, CHANNEL_BLOCK_MS, true);
  view.setUint32(META.checksum, crc32c(bytes.subarray(0, META.checksum)), true);
  putText(bytes, META.name, channel.name);
  return bytes;
}

/** The first RING.fixedBytes of a ring. */
export function ringFixed(channel: ServiceChannel, createdNs: bigint): Uint8Array {
  const bytes = new Uint8Array(RING.fixedBytes);
  const view = viewOf(bytes);
  putText(bytes, 0, RING_MAGIC);
  view.setUint16(4, MAJOR, true);
  const numbers = [
    RING_HEADER_BYTES,
    strideOf(channel.slotSizeBytes),
    channel.slotSizeBytes,
    channel.depth,
    0,
    channelNumber(channel),
  ];
  for (const [index, value] of numbers.entries()) view.setUint32(8 + index * 4, value, true);
  view.setBigUint64(32, BigInt(ringBytes(channel)), true);
  view.setBigUint64(40, createdNs, true);
  view.setUint32(48, crc32c(bytes.subarray(0, 48)), true);
  return bytes;
}

/** When the channel was made, by a meta that is whole; undefined by any other. */
export function createdNsOf(meta: Uint8Array, channel: ServiceChannel): bigint | undefined {
  if (meta.length < META_BYTES) return undefined;
  const createdNs = viewOf(meta).getBigUint64(META.created, true);
  const wanted = metaFixed(channel, createdNs);
  return wanted.every((byte, index) => meta[index] === byte) ? createdNs : undefined;
}

export interface ChannelFile {
  name: string;
  bytes: number;
  /** Whose it is to write; undefined = the agent's. */
  writer: string | undefined;
  kind: 'meta' | 'ring' | 'ack';
}

/** In the order of their making; meta tells that all is there, and is written last. */
export const filesOf = (channel: ServiceChannel): ChannelFile[] => [
  { name: 'meta', bytes: META_BYTES, writer: undefined, kind: 'meta' },
  ...channel.publishers.map((writer) => ({
    name: `ring.${writer}`,
    bytes: ringBytes(channel),
    writer,
    kind: 'ring' as const,
  })),
  ...channel.subscribers.map((writer) => ({
    name: `ack.${writer}`,
    bytes: ACK_BYTES * channel.publishers.length,
    writer,
    kind: 'ack' as const,
  })),
];

export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** ASCII, as all names are; the rest of the field stays 0. */
function putText(bytes: Uint8Array, at: number, text: string): void {
  for (let index = 0; index < Math.min(text.length, NAME_BYTES - 1); index++)
    bytes[at + index] = text.charCodeAt(index);
}
