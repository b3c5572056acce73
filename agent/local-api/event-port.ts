import type { DeviceEvent } from '../../protocol/messages.ts';

/** What the server is told of a device, or was. */
export type LocalEvent = Omit<DeviceEvent, 'v' | 'id'>;

export interface EventQuery {
  /** Not before this, Unix ms. */
  since?: number | undefined;
  service?: string | undefined;
  /** How many of the last ones to give first; 0 = none. */
  limit: number;
  follow: boolean;
  /** Aborted when the reader goes; the iteration then ends, and does not throw. */
  signal: AbortSignal;
}

/** What happened on this device, from its disk: over restarts and reboots, with or without a server. */
export interface EventLog {
  /** Oldest first. */
  recent(query: EventQuery): AsyncIterable<LocalEvent>;
}
