import type { ChannelStatus, ChannelSubscriber } from '../../protocol/channel-status.ts';
import type { ChannelsAnswer } from './answers.ts';
import { NOW } from './fake-status.ts';
import type { ChannelDesk, ChannelMessage } from './ports.ts';

/** Channels that are data: each look gives the next of `looks`, and the last one again and again. */
export class FakeChannelDesk implements ChannelDesk {
  looks: ChannelsAnswer[] = [];
  messages: Record<string, ChannelMessage[]> = {};
  #next = 0;

  list(): ChannelsAnswer {
    const look = this.looks[Math.min(this.#next++, this.looks.length - 1)];
    return look ?? { at: 0, channels: [] };
  }

  tap(channel: string): AsyncIterable<ChannelMessage> | undefined {
    const messages = this.messages[channel];
    return messages && give(messages);
  }
}

async function* give(messages: ChannelMessage[]): AsyncGenerator<ChannelMessage> {
  yield* messages;
}

const MIB = 1024 ** 2;

/** A camera at 30 frames a second with a reader that keeps up and one that does not, `ms` later. */
export const fakeChannels = (ms: number): ChannelsAnswer => ({
  at: NOW + ms,
  channels: [framesAfter(ms / 1000), READINGS],
});

function framesAfter(seconds: number): ChannelStatus {
  const messages = 9_000 + 30 * seconds;
  return {
    name: 'frames',
    mode: 'lossy',
    slotSizeBytes: MIB,
    depth: 8,
    budgetBytes: 8_474_624,
    usedBytes: 8_429_568,
    since: NOW - 300_000,
    publishers: [
      {
        service: 'camera',
        isUp: true,
        starts: 1,
        messages,
        bytes: messages * 600 * 1024,
        dropped: 0,
        blocked: 0,
        wakes: messages,
        epoch: 1,
        messagesPerSecond: 30,
        bytesPerSecond: 30 * 600 * 1024,
      },
    ],
    subscribers: [
      peer('detector', { received: messages - 1, lag: 1 }),
      peer('recorder', { received: 5_000 + 12 * seconds, lag: 6, overruns: 41, resets: 1 }),
    ],
    fault: 'ring.camera had to be filled again',
  };
}

const READINGS: ChannelStatus = {
  name: 'readings',
  mode: 'reliable',
  slotSizeBytes: 256,
  depth: 64,
  budgetBytes: 98_304,
  since: NOW - 300_000,
  publishers: [
    {
      service: 'sensor',
      isUp: true,
      starts: 2,
      messages: 120,
      bytes: 5_400,
      dropped: 3,
      blocked: 4,
      wakes: 116,
      epoch: 2,
    },
  ],
  subscribers: [peer('recorder', { isUp: false, isEvicted: true, evictions: 1, received: 20, lag: 64 })],
};

function peer(service: string, more: Partial<ChannelSubscriber>): ChannelSubscriber {
  const counts = { evictions: 0, lag: 0, received: 0, overruns: 0, resets: 0, torn: 0 };
  return { service, isUp: true, isEvicted: false, ...counts, ...more };
}

export const fakeMessage = (more: Partial<ChannelMessage> = {}): ChannelMessage => ({
  publisher: 'sensor',
  sequence: 120,
  at: NOW + 250,
  type: 0,
  length: 22,
  lost: 0,
  data: Buffer.from('{"celsius":21.5,"n":1}').toString('base64'),
  ...more,
});
