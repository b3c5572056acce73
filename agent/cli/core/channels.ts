import type { ChannelPublisher, ChannelStatus, ChannelSubscriber } from '../../../protocol/channel-status.ts';
import { formatBytes } from '../../../protocol/quantities.ts';
import { type Column, layOutTable, printable } from './layout.ts';

/** What one peer of a channel did between two looks, and where it stands. */
export interface PeerRate {
  channel: string;
  service: string;
  role: 'publisher' | 'subscriber';
  isUp: boolean;
  /** Published, or received, since the channel was made. */
  messages: number;
  messagesPerSecond: number;
  /** Of a publisher. */
  bytesPerSecond?: number;
  /** Of a subscriber: messages it has yet to take. */
  lag?: number;
  /** In words, what is not as it should be. */
  notes: string[];
}

const left = (title: string): Column => ({ title, align: 'left' });
const right = (title: string): Column => ({ title, align: 'right' });

/** Channels with their memory and who is on them. */
export const channelTable = (channels: readonly ChannelStatus[]): string[] =>
  layOutTable(
    [left('CHANNEL'), left('MODE'), right('RING'), right('MEMORY'), left('FROM'), left('TO'), left('')],
    channels.map((channel) => [
      channel.name,
      channel.mode,
      `${channel.depth} x ${formatBytes(channel.slotSizeBytes)}`,
      formatBytes(channel.budgetBytes),
      channel.publishers.map(peer).join(', '),
      channel.subscribers.map(peer).join(', '),
      channel.fault === undefined ? '' : printable(channel.fault),
    ]),
  );

const peer = ({ service, isUp, ...more }: ChannelPublisher | ChannelSubscriber): string => {
  const marks = [...(isUp ? [] : ['down']), ...('isEvicted' in more && more.isEvicted ? ['evicted'] : [])];
  return marks.length > 0 ? `${service} (${marks.join(', ')})` : service;
};

/** `seconds` between the two looks. A channel that is new since has begun at 0. */
export const ratesOf = (
  before: readonly ChannelStatus[],
  now: readonly ChannelStatus[],
  seconds: number,
): PeerRate[] =>
  now.flatMap((channel) => {
    const then = before.find(({ name, since }) => name === channel.name && since === channel.since);
    return [
      ...channel.publishers.map((each, index) =>
        publisherRate(channel.name, each, then?.publishers[index], seconds),
      ),
      ...channel.subscribers.map((each, index) =>
        subscriberRate(channel.name, each, then?.subscribers[index], seconds),
      ),
    ];
  });

function publisherRate(
  channel: string,
  { service, isUp, messages, bytes, dropped, blocked }: ChannelPublisher,
  then: ChannelPublisher | undefined,
  seconds: number,
): PeerRate {
  return {
    channel,
    service,
    role: 'publisher',
    isUp,
    messages,
    messagesPerSecond: perSecond(messages - (then?.messages ?? 0), seconds),
    bytesPerSecond: perSecond(bytes - (then?.bytes ?? 0), seconds),
    notes: [...counted(dropped, 'dropped'), ...counted(blocked, 'blocked')],
  };
}

function subscriberRate(
  channel: string,
  { service, isUp, isEvicted, received, lag, overruns, resets, torn }: ChannelSubscriber,
  then: ChannelSubscriber | undefined,
  seconds: number,
): PeerRate {
  return {
    channel,
    service,
    role: 'subscriber',
    isUp,
    messages: received,
    messagesPerSecond: perSecond(received - (then?.received ?? 0), seconds),
    lag,
    notes: [
      ...(isEvicted ? ['evicted'] : []),
      ...counted(overruns, overruns === 1 ? 'overrun' : 'overruns'),
      ...counted(resets, resets === 1 ? 'reset' : 'resets'),
      ...counted(torn, 'torn'),
    ],
  };
}

const counted = (count: number, what: string): string[] => (count > 0 ? [`${count} ${what}`] : []);

const perSecond = (count: number, seconds: number): number =>
  seconds > 0 ? Math.round((Math.max(0, count) / seconds) * 10) / 10 : 0;

/** A line each, the channel's name on its first. */
export const rateTable = (rates: readonly PeerRate[]): string[] =>
  layOutTable(
    [
      left('CHANNEL'),
      left('SERVICE'),
      left('DOES'),
      right('MESSAGES'),
      right('PER SECOND'),
      right('BYTES/S'),
      right('BEHIND'),
      left('NOTES'),
    ],
    rates.map((rate, index) => [
      rates[index - 1]?.channel === rate.channel ? '' : rate.channel,
      rate.service,
      rate.role === 'publisher' ? 'publishes' : 'subscribes',
      String(rate.messages),
      String(rate.messagesPerSecond),
      rate.bytesPerSecond === undefined ? '-' : `${formatBytes(Math.round(rate.bytesPerSecond))}/s`,
      rate.lag === undefined ? '-' : String(rate.lag),
      [...(rate.isUp ? [] : ['down']), ...rate.notes].join(', '),
    ]),
  );
