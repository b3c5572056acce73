import { CHANNEL_LIMITS, META_BYTES } from '../../../../protocol/channels.ts';
import type { ServiceChannel } from '../../service-spec.ts';
import { crc32c } from './crc32c.ts';
import { META, viewOf } from './layout.ts';

/** What meta says of who is on a channel. By the order of the definition. */
export interface ChannelPeers {
  publishers: { isUp: boolean; starts: number; startedAt: number }[];
  subscribers: { isUp: boolean; isEvicted: boolean; evictions: number }[];
}

export function readPeers(meta: Uint8Array, { publishers, subscribers }: ServiceChannel): ChannelPeers {
  const view = viewOf(meta);
  const u32 = (at: number): number => view.getUint32(at, true);
  return {
    publishers: publishers.map((_name, index) => {
      const at = META.publishers + index * META.peerBytes;
      return {
        isUp: u32(at + META.up) === 1,
        starts: u32(at + META.starts),
        startedAt: Number(view.getBigUint64(at + META.startedAt, true)),
      };
    }),
    subscribers: subscribers.map((_name, index) => {
      const at = META.subscribers + index * META.peerBytes;
      return {
        isUp: u32(at + META.up) === 1,
        isEvicted: u32(at + META.evicted) === 1,
        evictions: u32(at + META.evictions),
      };
    }),
  };
}

/** The services that a meta names; undefined for one that is not whole. */
export function namesIn(meta: Uint8Array): string[] | undefined {
  if (meta.length < META_BYTES) return undefined;
  const view = viewOf(meta);
  if (crc32c(meta.subarray(0, META.checksum)) !== view.getUint32(META.checksum, true)) return undefined;
  const text = (at: number): string => {
    const bytes = [...meta.subarray(at, at + META.up)];
    return String.fromCharCode(...bytes.slice(0, Math.max(0, bytes.indexOf(0))));
  };
  const names = (first: number, count: number): string[] =>
    Array.from({ length: Math.min(count, CHANNEL_LIMITS.peers) }, (_, index) =>
      text(first + index * META.peerBytes),
    );
  return [
    ...names(META.publishers, view.getUint32(META.publisherCount, true)),
    ...names(META.subscribers, view.getUint32(META.subscriberCount, true)),
  ];
}

/** The part of meta that changes, with `peers` in it: from META.publishers on. */
export function writePeers(meta: Uint8Array, peers: ChannelPeers): Uint8Array {
  const bytes = meta.slice();
  const view = viewOf(bytes);
  for (const [index, { isUp, starts, startedAt }] of peers.publishers.entries()) {
    const at = META.publishers + index * META.peerBytes;
    view.setUint32(at + META.up, isUp ? 1 : 0, true);
    view.setUint32(at + META.starts, starts, true);
    view.setBigUint64(at + META.startedAt, BigInt(startedAt), true);
  }
  for (const [index, { isUp, isEvicted, evictions }] of peers.subscribers.entries()) {
    const at = META.subscribers + index * META.peerBytes;
    view.setUint32(at + META.up, isUp ? 1 : 0, true);
    view.setUint32(at + META.evicted, isEvicted ? 1 : 0, true);
    view.setUint32(at + META.evictions, evictions, true);
  }
  return bytes;
}

/** The peers as they are now. `running`: by service on this channel, when its container was started, Unix ms. */
export function withRunning(
  peers: ChannelPeers,
  { publishers, subscribers }: ServiceChannel,
  running: ReadonlyMap<string, number>,
): ChannelPeers {
  return {
    publishers: peers.publishers.map((peer, index) => {
      const startedAt = running.get(publishers[index] ?? '');
      if (startedAt === undefined) return { ...peer, isUp: false };
      const isNew = startedAt !== peer.startedAt;
      return { isUp: true, starts: peer.starts + (isNew ? 1 : 0), startedAt };
    }),
    subscribers: peers.subscribers.map((peer, index) => ({
      ...peer,
      isUp: running.has(subscribers[index] ?? ''),
    })),
  };
}
