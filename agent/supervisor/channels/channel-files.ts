import { join } from 'node:path';
import { ACK_BYTES, META_BYTES } from '../../../protocol/channels.ts';
import type { ServiceChannel } from '../service-spec.ts';
import type { ChannelLook } from './core/channel-status.ts';
import { ackCounters, ringCounters } from './core/counters.ts';
import { META, RING, viewOf } from './core/layout.ts';
import { type ChannelPeers, readPeers, writePeers } from './core/peers.ts';
import { readBytes, writeBytes } from './tmpfs-files.ts';

/** The files of a channel that is there: what they tell, and the part of meta that changes. Nothing is mapped. */
export class ChannelFiles {
  readonly channel: ServiceChannel;
  readonly path: string;

  constructor(channel: ServiceChannel, path: string) {
    this.channel = channel;
    this.path = path;
  }

  /** `at`: monotonic, ms. */
  look(at: number): ChannelLook {
    const { publishers, subscribers } = this.channel;
    return {
      at,
      peers: readPeers(this.#meta(), this.channel),
      rings: publishers.map((name) => ringCounters(readBytes(this.#at(`ring.${name}`), 0, RING.countersEnd))),
      acks: subscribers.map((name) =>
        ackCounters(readBytes(this.#at(`ack.${name}`), 0, ACK_BYTES * publishers.length), publishers.length),
      ),
    };
  }

  /** CLOCK_REALTIME, Unix ms. */
  createdAt(): number {
    return Math.round(Number(viewOf(this.#meta()).getBigUint64(META.created, true)) / 1e6);
  }

  /** Writes what differs, between an odd and an even number of changes. Returns whether anything did. */
  changePeers(change: (peers: ChannelPeers) => ChannelPeers): boolean {
    const before = this.#meta();
    const after = writePeers(before, change(readPeers(before, this.channel)));
    if (Buffer.compare(before, after) === 0) return false;
    // Odd already where an agent was killed in the middle.
    const odd = viewOf(before).getUint32(META.changes, true) | 1;
    writeBytes(this.#at('meta'), [
      { at: META.changes, bytes: u32(odd) },
      { at: META.publishers, bytes: after.subarray(META.publishers) },
      { at: META.changes, bytes: u32(odd + 1) },
    ]);
    return true;
  }

  #meta(): Uint8Array {
    const meta = new Uint8Array(META_BYTES);
    meta.set(readBytes(this.#at('meta'), 0, META_BYTES));
    return meta;
  }

  #at(file: string): string {
    return join(this.path, file);
  }
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value >>> 0, true);
  return bytes;
}
