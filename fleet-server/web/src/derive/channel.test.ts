import { describe, expect, it } from 'vitest';
import type { ChannelPublisher, ChannelStatus, ChannelSubscriber } from '../api/types.ts';
import { channelWord, publisherWord, ringText, subscriberWord } from './channel.ts';

const publisher = (fields: Partial<ChannelPublisher> = {}): ChannelPublisher => ({
  service: 'camera',
  isUp: true,
  starts: 1,
  messages: 90,
  bytes: 900,
  dropped: 0,
  blocked: 0,
  wakes: 0,
  epoch: 1,
  messagesPerSecond: 3,
  bytesPerSecond: 30,
  ...fields,
});

const subscriber = (fields: Partial<ChannelSubscriber> = {}): ChannelSubscriber => ({
  service: 'detector',
  isUp: true,
  isEvicted: false,
  evictions: 0,
  lag: 1,
  received: 89,
  overruns: 0,
  resets: 0,
  torn: 0,
  ...fields,
});

const channel = (fields: Partial<ChannelStatus> = {}): ChannelStatus => ({
  name: 'frames',
  mode: 'lossy',
  slotSizeBytes: 1024 ** 2,
  depth: 8,
  budgetBytes: 9 * 1024 ** 2,
  since: 1,
  publishers: [publisher()],
  subscribers: [subscriber()],
  ...fields,
});

const label = (fields: Partial<ChannelSubscriber>, more: Partial<ChannelStatus> = {}) =>
  subscriberWord(subscriber(fields), channel(more)).label;

describe('who is on a channel', () => {
  it('says of a publisher whether it runs, has opened the channel and publishes', () => {
    const { messagesPerSecond: _, ...unmeasured } = publisher();
    const words = [
      publisher(),
      publisher({ messagesPerSecond: 0 }),
      publisher({ epoch: 0, messagesPerSecond: 0 }),
      publisher({ isUp: false }),
      unmeasured,
    ].map((each) => publisherWord(each).label);
    expect(words).toEqual(['Publishing', 'Silent', 'Not opened', 'Down', 'Silent']);
  });

  it('says of a subscriber whether it keeps up, from a whole ring on that it does not', () => {
    expect(label({ lag: 7 })).toBe('Keeps up');
    expect(label({ lag: 8 })).toBe('Falls behind');
    expect(label({ lag: 8 }, { mode: 'latest' })).toBe('Keeps up');
    expect(label({ received: 0 })).toBe('Took none');
    expect(label({ isUp: false })).toBe('Down');
  });

  it('calls an evicted subscriber evicted, whether it runs or not', () => {
    for (const isUp of [true, false])
      expect(subscriberWord(subscriber({ isEvicted: true, isUp }), channel())).toEqual({
        label: 'Evicted',
        tone: 'bad',
      });
  });
});

describe('channel', () => {
  it('flows while somebody publishes and everybody keeps up', () => {
    expect(channelWord(channel())).toEqual({ label: 'Flowing', tone: 'ok' });
    const silent = [publisher({ messagesPerSecond: 0 })];
    expect(channelWord(channel({ publishers: silent })).label).toBe('Silent');
  });

  it('is as bad as the worst of it', () => {
    const [slow, down, evicted] = [
      subscriber({ lag: 20 }),
      subscriber({ isUp: false }),
      subscriber({ isEvicted: true }),
    ];
    expect(channelWord(channel({ subscribers: [subscriber(), slow] })).label).toBe('Falls behind');
    expect(channelWord(channel({ subscribers: [slow, down] })).label).toBe('Service down');
    expect(channelWord(channel({ subscribers: [down, evicted] })).label).toBe('Subscriber evicted');
    const fault = 'meta had to be written again';
    expect(channelWord(channel({ subscribers: [evicted], fault }))).toEqual({
      label: 'Damaged',
      tone: 'bad',
    });
  });

  it('has a ring of so many messages of so many bytes', () => {
    expect(ringText(channel())).toBe('8 × 1 MiB');
  });
});
