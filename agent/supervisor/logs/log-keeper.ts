import type { Clock } from '../ports.ts';
import { logsToRemove } from './core/left-logs.ts';
import type { LogPump } from './log-pump.ts';

export interface LogKeeperOptions {
  pump: LogPump;
  /**
   * Services of the release in force, of the one to roll back to and of the one on its way; undefined when that
   * cannot be told: then nothing is removed.
   */
  held(): ReadonlySet<string> | undefined;
  clock: Clock;
  /** A log that could not be removed is tried again at the next look. */
  onError(error: unknown): void;
}

const LOOK_MS = 60_000;

/** Removes the logs of services that left the device. */
export class LogKeeper {
  readonly #options: LogKeeperOptions;
  #cancel: (() => void) | undefined;

  constructor(options: LogKeeperOptions) {
    this.#options = options;
  }

  start(): void {
    this.#cancel = this.#options.clock.after(LOOK_MS, () => {
      this.look();
      this.start();
    });
  }

  stop(): void {
    this.#cancel?.();
  }

  look(): void {
    const { pump, held, clock, onError } = this.#options;
    try {
      const names = held();
      if (names === undefined) return;
      for (const service of logsToRemove(pump.leftBy(names), clock.now())) pump.forget(service);
    } catch (error) {
      onError(error);
    }
  }
}
