import type { DeviceEvent } from '../../protocol/messages.ts';
import type { EventQueue } from './ports.ts';

/** Events on the way at one time. */
const IN_FLIGHT = 32;

/** Sends the outbox in order; an event counts as delivered only when the server says so (dn/ack). */
export class EventPump {
  readonly #queue: EventQueue;
  readonly #send: (event: DeviceEvent) => void;
  readonly #sent = new Set<string>();

  constructor(queue: EventQueue, send: (event: DeviceEvent) => void) {
    this.#queue = queue;
    this.#send = send;
  }

  pump(): void {
    for (const event of this.#queue.pending(IN_FLIGHT)) {
      if (this.#sent.has(event.id)) continue;
      this.#sent.add(event.id);
      this.#send(event);
    }
  }

  acknowledged(ids: readonly string[]): void {
    this.#queue.acknowledge(ids);
    for (const id of ids) this.#sent.delete(id);
    this.pump();
  }

  /** All that is not acknowledged goes again: after a lost session, or a long silence. */
  pumpAgain(): void {
    this.#sent.clear();
    this.pump();
  }
}
