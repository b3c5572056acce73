import type {
  ChannelPublisher,
  ChannelStatus,
  ChannelSubscriber,
} from '../../../../protocol/channel-status.ts';
import { channelBudgetBytes } from '../../../../protocol/channels.ts';
import type { ServiceChannel } from '../../service-spec.ts';
import { type AckCounters, lagOf, messagesOf, type RingCounters } from './counters.ts';
import type { ChannelPeers } from './peers.ts';

/** All that a channel's files tell at one time. By the order of its definition. */
export interface ChannelLook {
  /** Monotonic, ms. */
  at: number;
  peers: ChannelPeers;
  rings: RingCounters[];
  /** By subscriber, then by ring. */
  acks: AckCounters[][];
}

interface Shown {
  since: number;
  usedBytes: number | undefined;
  fault: string | undefined;
  /** A second, by ring; empty before there are two looks. */
  rates: readonly Rate[];
}

export interface Rate {
  messagesPerSecond: number;
  bytesPerSecond: number;
}

export function channelStatus(
  channel: ServiceChannel,
  look: ChannelLook,
  { since, usedBytes, fault, rates }: Shown,
): ChannelStatus {
  const { name, mode, slotSizeBytes, depth } = channel;
  return {
    name,
    mode,
    slotSizeBytes,
    depth,
    budgetBytes: channelBudgetBytes(channel),
    ...(usedBytes !== undefined && { usedBytes }),
    since,
    publishers: channel.publishers.map((service, index) => publisher(service, index, look, rates[index])),
    subscribers: channel.subscribers.map((service, index) => subscriber(service, index, look)),
    ...(fault !== undefined && { fault }),
  };
}

function publisher(service: string, index: number, look: ChannelLook, rate?: Rate): ChannelPublisher {
  const [peer, ring] = [look.peers.publishers[index], look.rings[index]];
  return {
    service,
    isUp: peer?.isUp ?? false,
    starts: peer?.starts ?? 0,
    messages: ring ? messagesOf(ring) : 0,
    bytes: ring?.bytes ?? 0,
    dropped: ring?.dropped ?? 0,
    blocked: ring?.blocked ?? 0,
    wakes: ring?.wakes ?? 0,
    epoch: ring?.epoch ?? 0,
    ...rate,
  };
}

function subscriber(service: string, index: number, look: ChannelLook): ChannelSubscriber {
  const peer = look.peers.subscribers[index];
  const acks = look.acks[index] ?? [];
  const sum = (of: (ack: AckCounters) => number): number =>
    Math.min(
      Number.MAX_SAFE_INTEGER,
      acks.reduce((total, ack) => total + of(ack), 0),
    );
  const lags = acks.map((ack, ring) => (look.rings[ring] ? lagOf(look.rings[ring], ack) : 0));
  return {
    service,
    isUp: peer?.isUp ?? false,
    isEvicted: peer?.isEvicted ?? false,
    evictions: peer?.evictions ?? 0,
    lag: Math.max(0, ...lags),
    received: sum(({ received }) => received),
    overruns: sum(({ overruns }) => overruns),
    resets: sum(({ resets }) => resets),
    torn: sum(({ torn }) => torn),
  };
}

/** What was published between two looks, a second; nothing where a counter went back. */
export function ratesBetween(before: ChannelLook | undefined, now: ChannelLook): Rate[] {
  const seconds = before === undefined ? 0 : (now.at - before.at) / 1000;
  if (before === undefined || seconds <= 0) return [];
  return now.rings.map((ring, index) => {
    const last = before.rings[index];
    return {
      messagesPerSecond: last ? perSecond(messagesOf(ring) - messagesOf(last), seconds) : 0,
      bytesPerSecond: last ? perSecond(ring.bytes - last.bytes, seconds) : 0,
    };
  });
}

/** To a tenth. */
const perSecond = (count: number, seconds: number): number =>
  Math.round((Math.max(0, count) / seconds) * 10) / 10;

/** Counts of a subscriber that rose between two looks and tell of loss. */
export function lossesBetween(
  { subscribers }: ServiceChannel,
  before: ChannelLook | undefined,
  now: ChannelLook,
): { service: string; overruns: number; resets: number }[] {
  if (before === undefined) return [];
  return subscribers.flatMap((service, index) => {
    const [then, later] = [subscriber(service, index, before), subscriber(service, index, now)];
    const overruns = Math.max(0, later.overruns - then.overruns);
    const resets = Math.max(0, later.resets - then.resets);
    return overruns + resets === 0 ? [] : [{ service, overruns, resets }];
  });
}
