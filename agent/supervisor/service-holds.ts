import type { DeviceEvent } from '../../protocol/messages.ts';
import {
  HOLD_MAX_MS,
  type HoldInForce,
  holdText,
  parseHold,
  remainingMs,
  type ServiceHold,
} from './core/service-hold.ts';
import type { Clock } from './ports.ts';

export type HoldEvent = Omit<DeviceEvent, 'v' | 'id'>;

/** Where stops by hand are kept across a death of the agent and a reboot. */
export interface HoldMemory {
  /** Hold by service name; the text is the supervisor's own JSON. */
  load(): Record<string, string>;
  /**
   * Keeps the hold, or forgets it where there is no text, and queues the event for the server: both or neither. Durable
   * at return, or as soon as the disk takes it.
   */
  change(service: string, hold: string | undefined, event: HoldEvent | undefined): void;
}

export interface ServiceHoldsOptions {
  memory: HoldMemory;
  clock: Pick<Clock, 'now'>;
  bootId: string;
  /** How long the device has been up, ms. */
  upMs: () => number;
  /** Services of the committed release and of one on its way; undefined when nobody can tell. */
  services: () => ReadonlySet<string> | undefined;
}

/** Services that somebody stopped by hand. */
export class ServiceHolds {
  readonly #options: ServiceHoldsOptions;
  readonly #holds = new Map<string, { hold: ServiceHold; seenUpMs: number }>();

  constructor(options: ServiceHoldsOptions) {
    this.#options = options;
    for (const [service, text] of Object.entries(options.memory.load())) {
      const hold = parseHold(text);
      if (hold) this.#holds.set(service, { hold, seenUpMs: options.upMs() });
    }
  }

  /** Ends those whose time is over or whose service has left for good, and gives the others. */
  inForce(): Map<string, HoldInForce> {
    const found = new Map<string, HoldInForce>();
    if (this.#holds.size === 0) return found;
    const { clock, bootId, upMs, services } = this.#options;
    const now = clock.now();
    const known = services();
    for (const [service, { hold, seenUpMs }] of this.#holds) {
      const leftMs = remainingMs(hold, { now, bootId, upMs: upMs(), seenUpMs });
      if (known?.has(service) === false)
        this.#over(service, `The release does not hold it any more; ${hold.by} had stopped it by hand`);
      else if (leftMs > 0) found.set(service, { ...hold, endsAt: now + leftMs });
      else this.#over(service, `The time for which ${hold.by} stopped it by hand is over`);
    }
    return found;
  }

  /** From now on; one that is there already is renewed. */
  take(
    service: string,
    { by, why, forMs }: { by: string; why?: string | undefined; forMs: number },
  ): ServiceHold {
    const { clock, bootId, upMs, memory } = this.#options;
    const at = clock.now();
    const boot = { id: bootId, upMs: upMs() };
    const hold: ServiceHold = { v: 1, by, why, at, until: at + Math.min(forMs, HOLD_MAX_MS), boot };
    this.#holds.set(service, { hold, seenUpMs: boot.upMs });
    const event = { kind: 'service', service, code: 'stop.by-hand', message: holdText(hold), at } as const;
    memory.change(service, JSON.stringify(hold), event);
    return hold;
  }

  /** False when there was none. `event` tells of it. */
  end(service: string, event: HoldEvent): boolean {
    if (!this.#holds.delete(service)) return false;
    this.#options.memory.change(service, undefined, event);
    return true;
  }

  #over(service: string, message: string): void {
    this.end(service, {
      kind: 'service',
      service,
      code: 'hold.ended',
      message,
      at: this.#options.clock.now(),
    });
  }
}
