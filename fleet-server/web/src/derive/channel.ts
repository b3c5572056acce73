import type { ChannelPublisher, ChannelStatus, ChannelSubscriber } from '../api/types.ts';
import { bytes } from '../format/quantity.ts';
import type { Word } from '../format/words.ts';

export function publisherWord({ isUp, epoch, messagesPerSecond }: ChannelPublisher): Word {
  if (!isUp) return { label: 'Down', tone: 'warn' };
  if (epoch === 0) return { label: 'Not opened', tone: 'quiet' };
  return messagesPerSecond ? { label: 'Publishing', tone: 'ok' } : { label: 'Silent', tone: 'quiet' };
}

/** A reader of `latest` skips to the newest as it should: how far it is behind says nothing of it. */
export function subscriberWord(subscriber: ChannelSubscriber, { mode, depth }: ChannelStatus): Word {
  const { isUp, isEvicted, lag, received } = subscriber;
  if (isEvicted) return { label: 'Evicted', tone: 'bad' };
  if (!isUp) return { label: 'Down', tone: 'warn' };
  if (received === 0) return { label: 'Took none', tone: lag > 0 ? 'warn' : 'quiet' };
  return mode !== 'latest' && lag >= depth
    ? { label: 'Falls behind', tone: 'warn' }
    : { label: 'Keeps up', tone: 'ok' };
}

/** The worst that can be said of a channel. */
export function channelWord(channel: ChannelStatus): Word {
  const words = [
    ...channel.publishers.map(publisherWord),
    ...channel.subscribers.map((subscriber) => subscriberWord(subscriber, channel)),
  ];
  if (channel.fault !== undefined) return { label: 'Damaged', tone: 'bad' };
  if (channel.subscribers.some(({ isEvicted }) => isEvicted))
    return { label: 'Subscriber evicted', tone: 'bad' };
  if (words.some(({ label }) => label === 'Down')) return { label: 'Service down', tone: 'warn' };
  if (words.some(({ tone }) => tone === 'warn')) return { label: 'Falls behind', tone: 'warn' };
  return words.some(({ label }) => label === 'Publishing')
    ? { label: 'Flowing', tone: 'ok' }
    : { label: 'Silent', tone: 'quiet' };
}

export const ringText = ({ depth, slotSizeBytes }: Pick<ChannelStatus, 'depth' | 'slotSizeBytes'>): string =>
  `${depth} × ${bytes(slotSizeBytes)}`;
