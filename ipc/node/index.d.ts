/** What a service is given by the release: `channels` in release.yaml. */
export type Mode = 'lossy' | 'latest' | 'reliable';

export interface ChannelInfo {
  readonly channel: string;
  readonly mode: Mode;
  /** Bytes of the longest message. */
  readonly slotSize: number;
  /** Messages that a ring holds. */
  readonly depth: number;
  /** How many there may be. */
  readonly publishers: number;
  readonly subscribers: number;
}

/** Where to look; a container's environment has both (WHERRY_IPC_DIR, WHERRY_SERVICE). */
export interface Where {
  dir?: string;
  service?: string;
}

export type ErrorCode =
  | 'WIPC_EINVAL'
  | 'WIPC_ENOENT'
  | 'WIPC_EROLE'
  | 'WIPC_EFORMAT'
  | 'WIPC_EBUSY'
  | 'WIPC_ETOOBIG'
  | 'WIPC_ENOMEM'
  | 'WIPC_ESYSTEM';

/** Codes: docs/channels.md. A wrong argument type is a TypeError. */
export declare class WherryIpcError extends Error {
  readonly code: ErrorCode;
}

/** Channels of this service, by name. */
export declare function listChannels(
  where?: Where,
): (ChannelInfo & { publish: boolean; subscribe: boolean })[];
/** Throws WIPC_EBUSY while another process, or worker thread, of this service publishes there. */
export declare function openPublisher(channel: string, where?: Where): Publisher;
/** Throws WIPC_EBUSY while another process, or worker thread, of this service subscribes there. */
export declare function openSubscriber(channel: string, where?: Where): Subscriber;

export type Data = string | ArrayBuffer | ArrayBufferView;

export interface PublishOptions {
  /** A word of 32 bits for the subscribers, passed through; 0 when not given. */
  type?: number;
  /** Reliable channels: how long to wait for the slowest subscriber, in ms. */
  timeoutMs?: number;
}

/** All counts since the channel was made, over all starts of this publisher. */
export interface PublisherStats {
  published: number;
  bytes: number;
  dropped: number;
  blocked: number;
  wakes: number;
  epoch: number;
}

export declare class Publisher {
  private constructor();
  readonly info: ChannelInfo;
  readonly isClosed: boolean;
  /**
   * Copies the message into the ring before it returns. False: reliable, and a subscriber was too slow; nothing was
   * published. `timeoutMs` is 0 when not given: more than that blocks the event loop for so long. See send().
   */
  publish(data: Data, options?: PublishOptions): boolean;
  /**
   * The same without blocking the event loop; messages go out in the order of the calls, and the data must not change
   * before the promise settles. `timeoutMs`: the channel's own bound when not given. Rejects with the signal's reason
   * when the signal comes before the message has a place; then it is never published.
   */
  send(data: Data, options?: PublishOptions & { signal?: AbortSignal }): Promise<boolean>;
  /**
   * Without a copy: `fill` writes into the ring itself, at most `length` bytes, and returns how many (all when it
   * returns no number). The memory is out of reach afterwards. Publishes nothing when `fill` throws.
   */
  write(length: number, fill: (slot: Uint8Array) => unknown, options?: PublishOptions): boolean;
  stats(): PublisherStats;
  /** A send() that still waits resolves with false. */
  close(): void;
  [Symbol.dispose](): void;
}

export interface Message {
  readonly data: Buffer;
  readonly type: number;
  /** Service that published it. */
  readonly publisher: string;
  /** From 0, without a gap but for `lost`, per publisher. */
  readonly sequence: number;
  /** Starts of the publisher as the message was taken: higher than before, it restarted. */
  readonly epoch: number;
  /** Messages of this publisher skipped since the one before. */
  readonly lost: number;
  /** CLOCK_MONOTONIC of the publisher: what process.hrtime.bigint() reads. */
  readonly timestampNs: bigint;
}

export interface SubscriberStats {
  received: number;
  overruns: number;
  resets: number;
  torn: number;
  lost: number;
  lag: number;
}

export interface Wait {
  /** Ends the wait by rejecting with the signal's reason. */
  signal?: AbortSignal;
}

export declare class Subscriber implements AsyncIterable<Message> {
  private constructor();
  /** publisherNames: who may publish. */
  readonly info: ChannelInfo & { readonly publisherNames: readonly string[] };
  readonly isClosed: boolean;
  /** The next message, a copy; undefined: none now. */
  take(): Message | undefined;
  /** As many as are there, at most `max` (256); one call into the library. */
  takeAll(max?: number): Message[];
  /** The next message into memory of the caller's. Throws WIPC_ETOOBIG, and the message is still there, when it does not fit. */
  takeInto(memory: ArrayBufferView): Message | undefined;
  /**
   * Without a copy, for publishers that you trust: `use` reads the ring itself, which its publisher may overwrite
   * meanwhile, so what it made of it counts only when `isWhole`. The memory is read-only (a write ends the process)
   * and out of reach when `use` has returned; it cannot be asynchronous. Undefined: no message now.
   */
  view<T>(use: (message: Message) => T): { isWhole: boolean; value: T } | undefined;
  /** Resolves with true once there is a message, false when time is up or the subscriber is closed. */
  ready(wait?: Wait & { timeoutMs?: number }): Promise<boolean>;
  /** Ends when the subscriber is closed; leaving the loop does not close it. */
  messages(wait?: Wait): AsyncIterableIterator<Message>;
  /**
   * All messages that are there, at most `max` (256) at once: for thousands a second. `reuse`: the data of a batch is
   * overwritten by the next one; saves allocation where messages are large.
   */
  batches(wait?: Wait & { max?: number; reuse?: boolean }): AsyncIterableIterator<Message[]>;
  [Symbol.asyncIterator](): AsyncIterableIterator<Message>;
  stats(): SubscriberStats;
  /** A wait under way keeps the process (ref, as it is at first), or does not (unref). */
  ref(): this;
  unref(): this;
  close(): void;
  [Symbol.dispose](): void;
}
