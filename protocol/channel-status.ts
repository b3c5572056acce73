import type { FromSchema } from 'json-schema-to-ts';
import { CHANNEL_LIMITS, CHANNEL_MODES } from './channels.ts';

/** How a shared-memory channel is, as reports carry it and the local API shows it. Counters begin with the channel. */
const integer = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;
const number = { type: 'number', minimum: 0 } as const;
const name = { type: 'string', minLength: 1, maxLength: 64 } as const;

const publisher = {
  type: 'object',
  additionalProperties: false,
  required: ['service', 'isUp', 'starts', 'messages', 'bytes', 'dropped', 'blocked', 'wakes', 'epoch'],
  properties: {
    service: name,
    isUp: { type: 'boolean' },
    /** Of its container since the channel was made. */
    starts: integer,
    /** Published. */
    messages: integer,
    bytes: integer,
    /** Of a reliable channel: not published, because a subscriber was too slow. */
    dropped: integer,
    /** Times it waited for a subscriber. */
    blocked: integer,
    /** Times it woke somebody. */
    wakes: integer,
    /** Times it opened the channel. */
    epoch: integer,
    /** Over the last interval, a second; absent before there is one. */
    messagesPerSecond: number,
    bytesPerSecond: number,
  },
} as const;

/** Its rings together; `lag` is that of the ring where it is most. */
const subscriber = {
  type: 'object',
  additionalProperties: false,
  required: ['service', 'isUp', 'isEvicted', 'evictions', 'lag', 'received', 'overruns', 'resets', 'torn'],
  properties: {
    service: name,
    isUp: { type: 'boolean' },
    /** The publishers of a reliable channel do not wait for it, because it was too slow. */
    isEvicted: { type: 'boolean' },
    evictions: integer,
    /** Messages that were published and not taken. */
    lag: integer,
    received: integer,
    /** Times it was overtaken and lost messages. */
    overruns: integer,
    /** Times a publisher began anew under it. */
    resets: integer,
    /** Messages that were overwritten while it took them, and were given up. */
    torn: integer,
  },
} as const;

export const channelStatusSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['name', 'mode', 'slotSizeBytes', 'depth', 'budgetBytes', 'since', 'publishers', 'subscribers'],
  properties: {
    name,
    mode: { enum: CHANNEL_MODES },
    slotSizeBytes: integer,
    depth: integer,
    /** Memory that the release gives it, and what of that is charged to its cgroup. */
    budgetBytes: integer,
    usedBytes: integer,
    /** When it was made, Unix ms. */
    since: integer,
    publishers: { type: 'array', items: publisher, maxItems: CHANNEL_LIMITS.peers },
    subscribers: { type: 'array', items: subscriber, maxItems: CHANNEL_LIMITS.peers },
    /** What is wrong with its memory, in one sentence; absent when nothing is. */
    fault: { type: 'string', maxLength: 1024 },
  },
} as const;
export type ChannelStatus = FromSchema<typeof channelStatusSchema>;
export type ChannelPublisher = ChannelStatus['publishers'][number];
export type ChannelSubscriber = ChannelStatus['subscribers'][number];
