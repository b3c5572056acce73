import type { Logger } from 'pino';
import {
  checkEvent,
  checkHello,
  checkReport,
  type DeviceEvent,
  type Report,
} from '../../protocol/messages.ts';
import { checkTimeRequest } from '../../protocol/signed-time.ts';
import type { UpChannel } from '../../protocol/topics.ts';
import type { Validated } from '../../protocol/validate.ts';
import type { Broker } from '../broker/broker.ts';
import type { Feed } from '../feed.ts';
import type { Database } from '../store/tables.ts';
import type { Desired } from './desired.ts';
import type { MetricLog } from './metrics.ts';
import type { PostMortemStore } from './post-mortems.ts';
import type { Presence } from './presence.ts';

export interface InboxOptions {
  db: Database;
  presence: Presence;
  metrics: MetricLog;
  postMortems: PostMortemStore;
  desired: Desired;
  feed: Feed;
  broker: () => Pick<Broker, 'send'>;
  /** Moves the device's open attempt on. */
  attempts: {
    reported(device: string, report: Report): Promise<void>;
    happened(device: string, event: DeviceEvent): Promise<void>;
  };
  /** What a device's own clock shows. */
  clocks: { clockSeen(device: string, at: number): void };
  now: () => number;
  log: Logger;
}

type ControlChannel = Exclude<UpChannel, 'get' | 'answer' | 'abilities' | 'probe'>;

/** Takes what devices say on their control session. What does not match its schema is dropped and logged. */
export class Inbox {
  readonly #options: InboxOptions;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  async take(device: string, channel: ControlChannel, payload: Buffer): Promise<void> {
    this.#options.presence.heard(device);
    switch (channel) {
      case 'hello':
        return this.#read(device, channel, checkHello(parseJson(payload)), ({ agentVersion }) =>
          this.#hello(device, agentVersion),
        );
      case 'report':
        return this.#read(device, channel, checkReport(parseJson(payload)), (report) =>
          this.#report(device, report),
        );
      case 'event':
        return this.#read(device, channel, checkEvent(parseJson(payload)), (event) =>
          this.#event(device, event),
        );
      case 'postmortem':
        return this.#postMortem(device, payload);
      case 'time':
        return this.#read(device, channel, checkTimeRequest(parseJson(payload)), ({ nonce }) =>
          this.#options.desired.tellTime(device, nonce),
        );
    }
  }

  async #read<T>(
    device: string,
    channel: ControlChannel,
    checked: Validated<T>,
    take: (value: T) => Promise<void>,
  ): Promise<void> {
    if (checked.ok) return take(checked.value);
    this.#options.log.warn({ device, channel, faults: checked.faults }, 'dropped a malformed message');
  }

  async #hello(device: string, agentVersion: string): Promise<void> {
    const { db, desired, feed, now } = this.#options;
    const seen = { lastSeenAt: now(), agentVersion };
    await db
      .insertInto('deviceState')
      .values({ deviceId: device, ...seen, reportJson: null, currentManifest: null })
      .onConflict((conflict) => conflict.column('deviceId').doUpdateSet(seen))
      .execute();
    feed.deviceChanged(device);
    await desired.send(device);
  }

  async #report(device: string, report: Report): Promise<void> {
    const { db, metrics, desired, feed, attempts, clocks, now } = this.#options;
    clocks.clockSeen(device, report.at);
    const seen = {
      lastSeenAt: now(),
      reportJson: JSON.stringify(report),
      currentManifest: report.current?.manifest ?? null,
    };
    await db
      .insertInto('deviceState')
      .values({ deviceId: device, agentVersion: null, ...seen })
      .onConflict((conflict) => conflict.column('deviceId').doUpdateSet(seen))
      .execute();
    metrics.add(device, report, now());
    feed.deviceChanged(device);
    feed.reported(device, report);
    await attempts.reported(device, report);
    await desired.heard(device, report.generation);
  }

  /** Stored, then acknowledged: the device keeps it until then. A second copy is acknowledged again. */
  async #event(device: string, event: DeviceEvent): Promise<void> {
    const { db, attempts, now } = this.#options;
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('deviceEvents')
      .values({
        deviceId: device,
        id: event.id,
        at: event.at,
        receivedAt: now(),
        bodyJson: JSON.stringify(event),
      })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (numInsertedOrUpdatedRows) await attempts.happened(device, event);
    await this.#acknowledge(device, event.id);
  }

  /** As events. One that will never be taken is acknowledged too: the device would send it for ever. */
  async #postMortem(device: string, payload: Buffer): Promise<void> {
    const { postMortems, feed, now, log } = this.#options;
    const taken = await postMortems.take(device, payload, now());
    if (taken.kind === 'refused')
      log.warn({ device, id: taken.id, faults: taken.faults }, 'dropped a malformed post-mortem');
    else if (taken.isNew) feed.postMortemCame(device, taken.id);
    if (taken.id !== undefined) await this.#acknowledge(device, taken.id);
  }

  async #acknowledge(device: string, id: string): Promise<void> {
    await this.#options.broker().send(device, 'control', 'ack', JSON.stringify({ v: 1, ids: [id] }), 0);
  }
}

function parseJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch {
    return undefined;
  }
}
