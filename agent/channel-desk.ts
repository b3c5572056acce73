import type { ChannelDesk } from './local-api/ports.ts';
import type { SharedMemoryChannels } from './supervisor/channels/shared-memory.ts';
import { tap } from './supervisor/channels/tap.ts';
import { systemClock } from './system-clock.ts';

/** The channels of this device for those who look on. */
export const channelDesk = (channels: Pick<SharedMemoryChannels, 'status' | 'pathOf'>): ChannelDesk => ({
  list: () => ({ at: systemClock.now(), channels: channels.status() }),
  tap: (name, query) => channels.pathOf(name) && tap({ ...query, find: () => channels.pathOf(name) }),
});
