import type { DeviceEvent } from '../../protocol/messages.ts';
import type { Reason } from '../../protocol/reasons.ts';
import type { EventQueue } from '../link/ports.ts';
import type { Clock, ServiceMemory } from '../supervisor/ports.ts';
import type { HoldMemory } from '../supervisor/service-holds.ts';
import { EMPTY_RECORD, type UpdateRecord } from '../update/core/record.ts';
import type { Log, Outbox, UpdateLedger } from '../update/ports.ts';
import { keptPart } from './core/kept-record.ts';
import type { EventQuery, KeptEvent } from './event-ring.ts';
import { openRebuilt } from './open-rebuilt.ts';
import { ReleaseSlots } from './release-slots.ts';
import type { SqliteLedger } from './sqlite-ledger.ts';
import { storageFaultOf } from './storage-fault.ts';
import { Unsaved } from './unsaved.ts';
import type { PastEvent } from './update-history.ts';

export interface PatientLedgerOptions {
  /** The database; the release slots lie in `slotsDir`. */
  path: string;
  slotsDir: string;
  clock: Clock;
  log: Log;
  /** The faults changed. */
  onChange(): void;
  retryMs?: number;
}

/** What happened on this device. */
export interface EventLedger {
  /** Oldest first. */
  list(query: EventQuery): KeptEvent[];
  after(sequence: number): KeptEvent[];
  /** What the disk has not taken yet, oldest first. */
  waiting(): PastEvent[];
  /** Calls back when there is more. Returns the un-subscribe. */
  watch(run: () => void): () => void;
}

const RETRY_MS = 5_000;

/**
 * The ledger of a device whose disk may be full, read-only or broken. What supervision remembers waits in memory until
 * it can be written; what an update decides does not happen until it can. A database that turns out corrupt is begun anew.
 */
export class PatientLedger implements UpdateLedger {
  readonly services: ServiceMemory;
  readonly holds: HoldMemory;
  readonly events: EventLedger;
  readonly outbox: EventQueue & Outbox;
  readonly #options: PatientLedgerOptions;
  readonly #slots: ReleaseSlots;
  readonly #unsaved = new Unsaved();
  #ledger: SqliteLedger | undefined;
  #kept: string | undefined;
  #fault: Reason | undefined;
  #onAdded: () => void = () => undefined;
  readonly #watchers = new Set<() => void>();
  #cancelRetry: (() => void) | undefined;
  #isClosed = false;

  /** Throws when nothing can be opened and there is no release to go on with either. */
  constructor(options: PatientLedgerOptions) {
    this.#options = options;
    this.#slots = new ReleaseSlots(options.slotsDir);
    this.services = {
      load: () => this.#unsaved.overlay(this.#ledger?.services.load() ?? {}),
      save: (service, record) => this.#remember(() => this.#unsaved.service(service, record)),
      forget: (service) => this.#remember(() => this.#unsaved.service(service, undefined)),
    };
    this.holds = {
      load: () => this.#unsaved.overlayHolds(this.#ledger?.holds.load() ?? {}),
      change: (service, hold, event) => this.#remember(() => this.#unsaved.hold(service, hold, event)),
    };
    this.outbox = {
      add: (event) => this.#remember(() => this.#unsaved.event(event)),
      pending: (limit) => this.#pending(limit),
      acknowledge: (ids) => this.#remember(() => this.#unsaved.acknowledge(ids)),
      onAdded: (run) => {
        this.#onAdded = run;
      },
    };
    this.events = {
      list: (query) => this.#stored((ledger) => ledger.events.list(query)),
      after: (sequence) => this.#stored((ledger) => ledger.events.after(sequence)),
      waiting: () => this.#unsaved.events(),
      watch: (run) => {
        this.#watchers.add(run);
        return () => void this.#watchers.delete(run);
      },
    };
    const kept = this.#slots.load();
    this.#kept = kept && keptPart(kept);
    try {
      this.#open();
    } catch (error) {
      if (kept === undefined || storageFaultOf(error) === undefined) throw error;
      this.#failed(error);
    }
    if (this.#ledger) this.#keep(this.#ledger.load());
  }

  load(): UpdateRecord {
    return this.#ledger?.load() ?? this.#slots.load() ?? EMPTY_RECORD;
  }

  record(next: UpdateRecord, events: Parameters<UpdateLedger['record']>[1]): boolean {
    if (this.#fault) this.#flush();
    if (this.#fault || !this.#try((ledger) => ledger.record(next, events))) return false;
    this.#keep(next);
    return true;
  }

  /** What became of updates here, newest first; empty while the database cannot be read. */
  history(): PastEvent[] {
    return this.#stored((ledger) => ledger.history());
  }

  faults(): Reason[] {
    return this.#fault ? [this.#fault] : [];
  }

  close(): void {
    this.#flush();
    this.#isClosed = true;
    this.#cancelRetry?.();
    this.#ledger?.close();
  }

  #open(): void {
    const { path, clock, log } = this.#options;
    this.#ledger = openRebuilt(path, this.#slots.load(), clock.now(), log);
    this.#ledger.outbox.onAdded(() => {
      this.#onAdded();
      for (const tell of this.#watchers) tell();
    });
  }

  #remember(change: () => void): void {
    change();
    if (!this.#fault) this.#flush();
  }

  /** None while the database cannot be read. */
  #stored<T>(read: (ledger: SqliteLedger) => T[]): T[] {
    let rows: T[] = [];
    this.#try((ledger) => {
      rows = read(ledger);
    });
    return rows;
  }

  #pending(limit: number): DeviceEvent[] {
    let events: DeviceEvent[] = [];
    this.#try((ledger) => {
      events = ledger.outbox.pending(limit + this.#unsaved.acknowledged.size);
    });
    return events.filter(({ id }) => !this.#unsaved.acknowledged.has(id)).slice(0, limit);
  }

  #keep(record: UpdateRecord): void {
    const part = keptPart(record);
    if (part === this.#kept || part === keptPart(EMPTY_RECORD)) return;
    try {
      this.#slots.save(record);
      this.#kept = part;
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Writes what waits. The fault ends when all of it is on disk, the copy of the release too. */
  #flush(): void {
    if (this.#isClosed) return;
    const fault = this.#fault;
    this.#fault = undefined;
    const isWritten = this.#try((ledger) => this.#unsaved.writeTo(ledger));
    if (isWritten && fault && this.#ledger) this.#keep(this.#ledger.load());
    // #try or #keep may have set it again.
    const again = this.#fault as Reason | undefined;
    if (again && fault) this.#fault = fault;
    if (fault && !again) this.#recovered();
  }

  #recovered(): void {
    const { clock, log, onChange } = this.#options;
    const message = 'The state of the agent can be written again; nothing that it waited with was lost';
    log.info({}, message);
    this.outbox.add({ kind: 'device', code: 'agent.disk-freed', message, at: clock.now() });
    onChange();
  }

  /** False when the disk did not take it. A database that turns out corrupt is put aside and the work done on a new one. */
  #try(work: (ledger: SqliteLedger) => void): boolean {
    try {
      try {
        this.#attempt(work);
      } catch (error) {
        if (storageFaultOf(error) !== 'corrupt') throw error;
        this.#abandon();
        this.#attempt(work);
      }
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  #attempt(work: (ledger: SqliteLedger) => void): void {
    if (!this.#ledger) this.#open();
    if (this.#ledger) work(this.#ledger);
  }

  #failed(error: unknown): void {
    if (storageFaultOf(error) === undefined) throw error;
    const { clock, log, onChange, retryMs = RETRY_MS } = this.#options;
    if (!this.#isClosed && !this.#cancelRetry)
      this.#cancelRetry = clock.after(retryMs, () => {
        this.#cancelRetry = undefined;
        this.#flush();
      });
    if (this.#fault) return;
    const why = error instanceof Error ? error.message : String(error);
    const message = `Cannot store the state of the agent: ${why}; services run on, updates wait`;
    this.#fault = { code: 'agent.disk-full', message: message.slice(0, 1024), at: clock.now() };
    if (this.#unsaved.isToldOfFault) return;
    this.#unsaved.event({ kind: 'device', ...this.#fault });
    this.#unsaved.isToldOfFault = true;
    log.warn({ error }, message);
    onChange();
  }

  /** The next attempt opens the file anew, which puts a corrupt one aside. */
  #abandon(): void {
    try {
      this.#ledger?.close();
    } catch {
      // Its memory is freed; its file is given up anyway.
    }
    this.#ledger = undefined;
    this.#unsaved.all();
  }
}
