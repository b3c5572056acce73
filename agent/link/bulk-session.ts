import { bulkClientId, downTopic, upTopic } from '../../protocol/topics.ts';
import type { AnswerChannel, AnswerLease } from '../remote/ports.ts';
import type { Clock } from '../supervisor/ports.ts';
import type { BulkChannel, BulkLease, BulkListener } from '../update/sources/bulk-channel.ts';
import { aborted, SourceError } from '../update/sources/source-error.ts';
import type { Dial } from './dial.ts';
import { MessageSieve } from './message-sieve.ts';
import { MqttConnection } from './mqtt-connection.ts';

export interface BulkSessionOptions {
  identity: { tenant: string; device: string };
  dial: Dial;
  clock: Clock;
  /** How long an unused session stays connected. */
  idleMs?: number;
}

interface Session {
  connection: MqttConnection;
  opened: Promise<void>;
}

/** The second MQTT session, for data and answers alone: control is never stuck behind it. Connected only while it is used. */
export class BulkSession implements BulkChannel, AnswerChannel {
  readonly #options: BulkSessionOptions;
  readonly #listeners = new Set<BulkListener>();
  #session: Session | undefined;
  #cancelIdle: (() => void) | undefined;

  constructor(options: BulkSessionOptions) {
    this.#options = options;
  }

  async acquire(listener: BulkListener, signal: AbortSignal): Promise<BulkLease> {
    const connection = await this.#hold(listener, signal);
    const { tenant, device } = this.#options.identity;
    const topic = upTopic(tenant, device, 'get');
    return {
      send: (get) => connection.publish(topic, JSON.stringify(get), 0),
      release: () => this.#release(listener),
      drop: () => this.#drop(connection),
    };
  }

  async acquireAnswers(onLost: () => void, signal: AbortSignal): Promise<AnswerLease> {
    const listener = { onData: () => {}, onFault: () => {}, onLost };
    const connection = await this.#hold(listener, signal);
    const { tenant, device } = this.#options.identity;
    const topic = upTopic(tenant, device, 'answer');
    return {
      answer: (body) => connection.publish(topic, body, 0),
      release: () => this.#release(listener),
    };
  }

  async #hold(listener: BulkListener, signal: AbortSignal): Promise<MqttConnection> {
    this.#cancelIdle?.();
    this.#listeners.add(listener);
    try {
      this.#session ??= this.#connect();
      const { connection, opened } = this.#session;
      await unlessAborted(opened, signal);
      return connection;
    } catch (error) {
      this.#release(listener);
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.#cancelIdle?.();
    const session = this.#session;
    this.#session = undefined;
    await session?.connection.close();
  }

  #drop(connection: MqttConnection): void {
    if (this.#session?.connection !== connection) return;
    this.#session = undefined;
    connection.drop();
    for (const listener of this.#listeners) listener.onLost();
  }

  #release(listener: BulkListener): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return;
    this.#cancelIdle?.();
    this.#cancelIdle = this.#options.clock.after(this.#options.idleMs ?? 10_000, () => {
      if (this.#listeners.size === 0) this.stop().catch(() => {});
    });
  }

  #connect(): Session {
    const { dial, identity } = this.#options;
    const dataTopic = downTopic(identity.tenant, identity.device, 'data');
    const faultTopic = downTopic(identity.tenant, identity.device, 'fault');
    const { promise: opened, resolve, reject } = Promise.withResolvers<void>();
    // Whoever waits hears of it; nobody may be waiting any more.
    opened.catch(() => {});
    const onData = (message: Buffer) => {
      for (const listener of this.#listeners) listener.onData(message);
    };
    const connection = new MqttConnection({
      dial: () => dial(new MessageSieve(dataTopic, onData)),
      clientId: bulkClientId(identity.device),
      username: identity.device,
      subscriptions: { [dataTopic]: 0, [faultTopic]: 0 },
      onOpen: resolve,
      onMessage: (topic, payload) => {
        if (topic !== faultTopic) return;
        for (const listener of this.#listeners) listener.onFault(payload);
      },
      onLost: (reason) => {
        this.#session = undefined;
        reject(new SourceError('unreachable', `Cannot open the bulk session: ${reason}`));
        for (const listener of this.#listeners) listener.onLost();
      },
    });
    return { connection, opened };
  }
}

async function unlessAborted(opened: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) throw aborted('the bulk session');
  const { promise: called, reject } = Promise.withResolvers<never>();
  const abort = () => reject(aborted('the bulk session'));
  signal.addEventListener('abort', abort);
  await Promise.race([opened, called]).finally(() => signal.removeEventListener('abort', abort));
}
