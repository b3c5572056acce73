import type { ChannelStatus } from '../../../../protocol/channel-status.ts';
import { channelBudgetBytes } from '../../../../protocol/channels.ts';
import type { ServiceStatus } from '../../../../protocol/status.ts';
import type { Release } from '../../../rest/api.ts';

const HOUR = 3_600_000;
type Declared = NonNullable<Release['channels']>;

/** What the gauges say each second, by channel. */
const PACE: Record<string, { messages: number; messageBytes: number }> = {
  frames: { messages: 4, messageBytes: 1024 ** 2 },
  readings: { messages: 10, messageBytes: 212 },
};

export function declared(channels: Record<string, Omit<Declared[number], 'name' | 'memoryBytes'>>): Declared {
  return Object.entries(channels).map(([name, channel]) => ({
    name,
    ...channel,
    memoryBytes: channelBudgetBytes(channel),
  }));
}

/** Each channel of the release as a device would count it now. */
export function channelsAt(
  now: number,
  channels: Declared,
  services: readonly ServiceStatus[],
): ChannelStatus[] {
  const isUp = (service: string) =>
    services.some(({ name, state }) => name === service && state === 'running');
  return channels.map(({ name, memoryBytes, publishers, subscribers, ...ring }) => {
    const { messages, messageBytes } = PACE[name] ?? { messages: 1, messageBytes: 100 };
    const published = Math.round(((now % HOUR) / 1_000) * messages);
    return {
      name,
      ...ring,
      budgetBytes: memoryBytes,
      usedBytes: memoryBytes - 12_288,
      since: now - 25 * HOUR,
      publishers: publishers.map((service) => ({
        service,
        isUp: isUp(service),
        starts: 1,
        messages: published,
        bytes: published * messageBytes,
        dropped: 0,
        blocked: 0,
        wakes: published,
        epoch: 1,
        messagesPerSecond: isUp(service) ? messages : 0,
        bytesPerSecond: isUp(service) ? messages * messageBytes : 0,
      })),
      subscribers: subscribers.map((service) => ({
        ...subscriberAt(now, service, published),
        ...(!isUp(service) && { isUp: false, lag: 0, ...(ring.mode === 'reliable' && EVICTED) }),
      })),
    };
  });
}

/** Before it went down. */
const EVICTED = { isEvicted: true, evictions: 1, lag: 64 };

/** The web service is a slow reader now and then. */
function subscriberAt(now: number, service: string, published: number) {
  const isSlow = service === 'web';
  const lag = isSlow ? Math.round(3 + 3 * Math.sin(now / 9_000)) : 0;
  const overruns = isSlow ? 12 : 0;
  return {
    service,
    isUp: true,
    isEvicted: false,
    evictions: 0,
    lag,
    received: Math.max(0, published - lag - overruns * 4),
    overruns,
    resets: 0,
    torn: 0,
  };
}
