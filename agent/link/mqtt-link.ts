import { LIMITS } from '../../protocol/limits.ts';
import { checkAck, type Report } from '../../protocol/messages.ts';
import { REMOTE_LIMITS } from '../../protocol/remote-actions.ts';
import { downTopic, type UpChannel, upTopic } from '../../protocol/topics.ts';
import type { Clock } from '../supervisor/ports.ts';
import type { Log } from '../update/ports.ts';
import { backoffMs } from './backoff.ts';
import type { Dial } from './dial.ts';
import { EventPump } from './event-pump.ts';
import { MqttConnection } from './mqtt-connection.ts';
import type { EventQueue, Link, LinkHandlers, PostMortemQueue, RemoteRequests } from './ports.ts';
import { PostMortemPump, type PostMortemTimes } from './post-mortem-pump.ts';

export interface MqttLinkOptions {
  identity: { tenant: string; device: string };
  dial: Dial;
  outbox: EventQueue;
  postMortems: PostMortemQueue;
  handlers: LinkHandlers;
  remote: RemoteRequests;
  clock: Clock;
  log: Log;
  reconnect?: { minMs: number; maxMs: number };
  postMortemTimes?: Partial<PostMortemTimes>;
}

/** Events that nobody acknowledged go again after this. */
const RESEND_MS = 15_000;
const RECONNECT = { minMs: LIMITS.reconnectMinMs, maxMs: LIMITS.reconnectMaxMs };

/** The control session: hello, reports, events and post-mortems up; assignments, acknowledgements and requests down. */
export class MqttLink implements Link {
  readonly #options: MqttLinkOptions;
  readonly #pump: EventPump;
  readonly #postMortems: PostMortemPump;
  readonly #desiredTopic: string;
  readonly #ackTopic: string;
  readonly #timeTopic: string;
  readonly #askTopic: string;
  readonly #moreTopic: string;
  #connection: MqttConnection | undefined;
  #attempt = 0;
  #cancelReconnect: (() => void) | undefined;
  #cancelResend: (() => void) | undefined;
  #isStopped = true;
  /** Messages dropped because they could not be read, since the start. */
  #unreadable = 0;

  constructor(options: MqttLinkOptions) {
    this.#options = options;
    const { tenant, device } = options.identity;
    this.#desiredTopic = downTopic(tenant, device, 'desired');
    this.#ackTopic = downTopic(tenant, device, 'ack');
    this.#timeTopic = downTopic(tenant, device, 'time');
    this.#askTopic = downTopic(tenant, device, 'ask');
    this.#moreTopic = downTopic(tenant, device, 'more');
    this.#pump = new EventPump(options.outbox, (event) => this.#publish('event', event, 1));
    this.#postMortems = new PostMortemPump({
      queue: options.postMortems,
      send: (capsule) => this.#publish('postmortem', capsule, 1),
      clock: options.clock,
      log: options.log,
      ...(options.postMortemTimes && { times: options.postMortemTimes }),
    });
    options.outbox.onAdded(() => {
      if (this.isConnected()) this.#pump.pump();
    });
  }

  start(): void {
    this.#isStopped = false;
    this.#connect();
    this.#resendLater();
  }

  isConnected(): boolean {
    return this.#connection?.isOpen === true;
  }

  report(report: Report): void {
    this.#publish('report', report, 0);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelReconnect?.();
    this.#cancelResend?.();
    this.#postMortems.closed();
    this.#options.remote.closed();
    await this.#connection?.close();
  }

  #connect(): void {
    const { dial, identity, handlers, remote, log } = this.#options;
    this.#connection = new MqttConnection({
      dial,
      clientId: identity.device,
      username: identity.device,
      subscriptions: { [this.#desiredTopic]: 1, [this.#ackTopic]: 1, [this.#timeTopic]: 1 },
      optional: {
        subscriptions: { [this.#askTopic]: 0, [this.#moreTopic]: 0 },
        onGranted: () => this.#publish('abilities', remote.abilities(), 1),
      },
      onOpen: () => {
        this.#attempt = 0;
        log.info({}, 'Connected to the fleet server');
        this.#publish('hello', { v: 1, ...handlers.hello() }, 1);
        const asked = handlers.timeRequest();
        if (asked) this.#publish('time', asked, 1);
        this.#pump.pumpAgain();
        this.#postMortems.opened();
        handlers.onConnected();
      },
      onMessage: (topic, payload) => this.#received(topic, payload),
      onLost: (reason) => {
        this.#postMortems.closed();
        remote.closed();
        this.#reconnectLater(reason);
      },
    });
  }

  #reconnectLater(reason: string): void {
    if (this.#isStopped) return;
    const { clock, handlers, log, reconnect } = this.#options;
    const waitMs = backoffMs(++this.#attempt, reconnect ?? RECONNECT, Math.random());
    log.warn({ waitMs }, `Lost the fleet server: ${reason}; connecting again in ${waitMs} ms`);
    handlers.onLost(`${reason}; next try in ${Math.ceil(waitMs / 1000)} s`);
    this.#cancelReconnect = clock.after(waitMs, () => this.#connect());
  }

  #resendLater(): void {
    this.#cancelResend = this.#options.clock.after(RESEND_MS, () => {
      if (this.isConnected()) this.#pump.pumpAgain();
      this.#resendLater();
    });
  }

  #received(topic: string, payload: Buffer): void {
    const isRemote = topic === this.#askTopic || topic === this.#moreTopic;
    const isTooLarge = isRemote && payload.length > REMOTE_LIMITS.askBytes;
    const document = isTooLarge ? undefined : parseJson(payload);
    if (isRemote && document !== undefined) {
      const { remote } = this.#options;
      return topic === this.#askTopic ? remote.asked(document) : remote.more(document);
    }
    if (topic === this.#desiredTopic && document !== undefined)
      return this.#options.handlers.onDesired(document);
    if (topic === this.#timeTopic && document !== undefined) return this.#options.handlers.onTime(document);
    const ack = checkAck(document);
    if (topic === this.#ackTopic && ack.ok) {
      this.#pump.acknowledged(ack.value.ids);
      return this.#postMortems.acknowledged(ack.value.ids);
    }
    this.#unreadable++;
    const fields = { topic, bytes: payload.length, dropped: this.#unreadable };
    this.#options.log.warn(fields, 'A message from the server could not be read and was dropped');
  }

  #publish(channel: UpChannel, body: object, qos: 0 | 1): void {
    const { tenant, device } = this.#options.identity;
    this.#connection?.publish(upTopic(tenant, device, channel), JSON.stringify(body), qos);
  }
}

function parseJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch {
    return undefined;
  }
}
