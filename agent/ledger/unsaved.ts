import type { DeviceEvent } from '../../protocol/messages.ts';
import type { SqliteLedger } from './sqlite-ledger.ts';

type NewEvent = Omit<DeviceEvent, 'v' | 'id'>;

/** Events that wait in memory at most; beyond it the oldest go. */
const EVENTS = 256;

/** What waits to be written: the newest record of each service, events in order, acknowledgements. */
export class Unsaved {
  readonly #services = new Map<string, string | undefined>();
  /** As far as known here, whether on disk or not: a database begun anew gets them all. */
  readonly #known = new Map<string, string>();
  readonly #events: NewEvent[] = [];
  /** Stops by hand that changed, by service; the event goes into the same transaction. */
  readonly #holds = new Map<string, { hold: string | undefined; event?: NewEvent | undefined }>();
  readonly #knownHolds = new Map<string, string>();
  readonly acknowledged = new Set<string>();
  /** The fault that is waited out stands among the events. */
  isToldOfFault = false;

  /** Undefined forgets it. */
  service(name: string, record: string | undefined): void {
    this.#services.set(name, record);
    if (record === undefined) this.#known.delete(name);
    else this.#known.set(name, record);
  }

  event(event: NewEvent): void {
    this.#events.push(event);
    if (this.#events.length > EVENTS) this.#events.shift();
  }

  /** Undefined ends it. */
  hold(service: string, hold: string | undefined, event: NewEvent | undefined): void {
    const before = this.#holds.get(service)?.event;
    if (before) this.event(before);
    this.#holds.set(service, { hold, event });
    if (hold === undefined) this.#knownHolds.delete(service);
    else this.#knownHolds.set(service, hold);
  }

  /** What happened and is not on disk yet, oldest first. */
  events(): NewEvent[] {
    const ofHolds = [...this.#holds.values()].flatMap(({ event }) => event ?? []);
    return [...this.#events, ...ofHolds].toSorted((a, b) => a.at - b.at);
  }

  acknowledge(ids: readonly string[]): void {
    for (const id of ids) this.acknowledged.add(id);
  }

  /** Everything known waits again. */
  all(): void {
    for (const [name, record] of this.#known) this.#services.set(name, record);
    for (const [name, hold] of this.#knownHolds) this.#holds.set(name, { ...this.#holds.get(name), hold });
  }

  overlayHolds(stored: Record<string, string>): Record<string, string> {
    for (const [name, hold] of Object.entries(stored)) this.#knownHolds.set(name, hold);
    return Object.fromEntries(this.#knownHolds);
  }

  overlay(stored: Record<string, string>): Record<string, string> {
    for (const [name, record] of Object.entries(stored)) this.#known.set(name, record);
    for (const [name, record] of this.#services) if (record !== undefined) this.#known.set(name, record);
    return Object.fromEntries(this.#known);
  }

  /** Each is off the list as soon as it is on disk: a failure half-way repeats nothing. */
  writeTo(ledger: SqliteLedger): void {
    for (const [name, record] of this.#services) {
      if (record === undefined) ledger.services.forget(name);
      else ledger.services.save(name, record);
      this.#services.delete(name);
    }
    for (const [name, { hold, event }] of this.#holds) {
      ledger.holds.change(name, hold, event);
      this.#holds.delete(name);
    }
    if (this.acknowledged.size > 0) {
      ledger.outbox.acknowledge([...this.acknowledged]);
      this.acknowledged.clear();
    }
    for (let event = this.#events[0]; event !== undefined; event = this.#events[0]) {
      ledger.outbox.add(event);
      this.#events.shift();
    }
    this.isToldOfFault = false;
  }
}
