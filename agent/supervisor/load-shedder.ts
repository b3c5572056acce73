import type { Reason } from '../../protocol/reasons.ts';
import type { ServiceRecord } from './core/record.ts';
import {
  criticalities,
  DEFAULT_THRESHOLDS,
  levelOf,
  noShedding,
  noteStrain,
  type Shedding,
  type ShedThresholds,
} from './core/shedding.ts';
import type { Clock, DeviceStrain } from './ports.ts';
import type { ServiceSpec } from './service-spec.ts';

const READ_MS = 2_000;

/** Reads how strained the device is, at a steady pace, and says how far load is to be shed. */
export class LoadShedder {
  readonly #strain: () => DeviceStrain;
  readonly #thresholds: ShedThresholds;
  readonly #clock: Clock;
  readonly #onChange: (reason: Reason) => void;
  #services: readonly ServiceSpec[] = [];
  #cancel: () => void = () => undefined;
  state: Shedding;

  constructor(
    strain: () => DeviceStrain,
    thresholds: Partial<ShedThresholds>,
    clock: Clock,
    onChange: (reason: Reason) => void,
  ) {
    this.#strain = strain;
    this.#thresholds = { ...DEFAULT_THRESHOLDS, ...thresholds };
    this.#clock = clock;
    this.#onChange = onChange;
    this.state = noShedding(clock.now());
  }

  start(): void {
    this.#cancel = this.#clock.after(READ_MS, () => this.#read());
  }

  stop(): void {
    this.#cancel();
  }

  /** The services in force; on the first call an earlier agent's level is taken up from what it did to them. */
  see(services: readonly ServiceSpec[], records?: ReadonlyMap<string, ServiceRecord>): void {
    this.#services = services;
    if (records === undefined) return;
    const classes = criticalities(services);
    const levels = services.map(({ name }) =>
      levelOf(records.get(name)?.shed, classes.get(name) ?? 'normal'),
    );
    const at = this.#clock.now();
    const reason: Reason = { code: 'device.shed', message: 'Load was being shed when the agent ended', at };
    const level = Math.max(0, ...levels);
    if (level > 0) this.state = { level, since: at, over: 0, calmSince: at, reason };
  }

  #read(): void {
    this.start();
    const before = this.state;
    const strain = this.#strain();
    this.state = noteStrain(before, strain, this.#thresholds, this.#services, this.#clock.now());
    if (this.state.level !== before.level && this.state.reason) this.#onChange(this.state.reason);
  }
}
