import type { IStream } from 'mqtt';
// The client alone: the package's main module brings WebSocket and SOCKS transports that no device uses.
import client from 'mqtt/lib/client';
import type { Dial } from './dial.ts';

export interface MqttConnectionOptions {
  dial: Dial;
  clientId: string;
  username: string;
  /** Topic → QoS. */
  subscriptions: Record<string, 0 | 1>;
  /** Topics that a server of the version before does without; `onGranted` once it has granted them all, after `onOpen`. */
  optional?: { subscriptions: Record<string, 0 | 1>; onGranted(): void };
  /** Subscribed; messages flow. */
  onOpen(): void;
  onMessage(topic: string, payload: Buffer): void;
  /** Called once, whether it was ever open or not. */
  onLost(reason: string): void;
}

const KEEPALIVE_SECONDS = 30;
const CONNECT_TIMEOUT_MS = 20_000;

/** One life of one MQTT 3.1.1 session. It never reconnects: whoever holds it decides when to make the next. */
export class MqttConnection {
  readonly #client: client.default;
  readonly #options: MqttConnectionOptions;
  #isOpen = false;
  #isOver = false;
  #lastError = 'the broker closed the connection';

  constructor(options: MqttConnectionOptions) {
    this.#options = options;
    const open = () => options.dial() as ReturnType<Dial> & IStream;
    this.#client = new client.default(open, {
      clientId: options.clientId,
      username: options.username,
      protocolVersion: 4,
      clean: true,
      keepalive: KEEPALIVE_SECONDS,
      connectTimeout: CONNECT_TIMEOUT_MS,
      reconnectPeriod: 0,
      resubscribe: false,
      queueQoSZero: false,
      // The cache holds a buffer for each number up to 65,535: 10 MiB to save the making of a few.
      writeCache: false,
    });
    this.#client.on('error', (error) => {
      this.#lastError = error.message || String(error);
    });
    this.#client.on('connect', () => this.#subscribe());
    this.#client.on('message', (topic, payload) => options.onMessage(topic, payload));
    this.#client.on('close', () => this.#lost());
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  publish(topic: string, payload: string | Buffer, qos: 0 | 1): void {
    if (this.#isOpen) this.#client.publish(topic, payload, { qos });
  }

  /** Ends without calling `onLost`. */
  async close(): Promise<void> {
    const wasOpen = this.#isOpen;
    this.#isOver = true;
    this.#isOpen = false;
    await this.#client.endAsync(!wasOpen).catch(() => {});
  }

  /** Ends at once, saying nothing to the other end and without calling `onLost`. */
  drop(): void {
    this.#isOver = true;
    this.#isOpen = false;
    this.#client.end(true);
  }

  #subscribe(): void {
    const { subscriptions, optional, onOpen } = this.#options;
    this.#ask(subscriptions, (fault) => {
      if (fault !== undefined) {
        this.#lastError = `subscribing was refused${fault}`;
        this.#client.end(true);
        return;
      }
      this.#isOpen = true;
      onOpen();
      if (!optional) return;
      this.#ask(optional.subscriptions, (refused) => {
        if (refused === undefined) optional.onGranted();
      });
    });
  }

  /** Answers with why it was refused, as it follows on a word. */
  #ask(subscriptions: Record<string, 0 | 1>, answer: (fault: string | undefined) => void): void {
    const wanted = Object.fromEntries(Object.entries(subscriptions).map(([topic, qos]) => [topic, { qos }]));
    this.#client.subscribe(wanted, (error, granted) => {
      if (this.#isOver) return;
      // [MQTT-3.9.3-1] 0x80 is a refusal. A grant proves nothing more.
      if (error) answer(`: ${error.message}`);
      else answer(granted?.some(({ qos }) => (qos as number) >= 128) ? '' : undefined);
    });
  }

  #lost(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#isOpen = false;
    this.#client.end(true);
    this.#options.onLost(this.#lastError);
  }
}
