import { LIMITS } from '../../protocol/limits.ts';
import type { Report } from '../../protocol/messages.ts';
import type { Clock } from '../supervisor/ports.ts';
import { fitReport } from './core/fit-report.ts';

export interface ReporterOptions {
  /** The whole reported state, now. */
  snapshot(): Omit<Report, 'v' | 'at' | 'sequence'> | Promise<Omit<Report, 'v' | 'at' | 'sequence'>>;
  send(report: Report): void;
  /** A snapshot that failed, the next one is tried at its time; or a report that had to leave something out. */
  onError(error: unknown): void;
  clock: Clock;
}

const CHANGE_MS = 250;

/** Reports each interval, and soon after a change: many changes at once are one report. */
export class Reporter {
  readonly #options: ReporterOptions;
  #sequence = 0;
  #cancel: (() => void) | undefined;
  #isSoon = false;
  #isStopped = true;
  #trimmed = '';

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  start(): void {
    this.#isStopped = false;
    this.#isSoon = false;
    this.#schedule(LIMITS.reportMs);
  }

  /** A new session: its reports count from one, and the first goes at once. */
  connected(): void {
    this.#sequence = 0;
    this.#isSoon = true;
    this.#schedule(0);
  }

  changed(): void {
    if (this.#isSoon) return;
    this.#isSoon = true;
    this.#schedule(CHANGE_MS);
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  #schedule(ms: number): void {
    this.#cancel?.();
    if (!this.#isStopped) this.#cancel = this.#options.clock.after(ms, () => this.#report());
  }

  #report(): void {
    this.#isSoon = false;
    this.#schedule(LIMITS.reportMs);
    this.#compose().catch(this.#options.onError);
  }

  async #compose(): Promise<void> {
    const { snapshot, clock, send } = this.#options;
    const body = await snapshot();
    if (this.#isStopped) return;
    const whole: Report = { v: 1, at: clock.now(), sequence: ++this.#sequence, ...body };
    const { report, trimmed } = fitReport(whole, (given) => Buffer.byteLength(JSON.stringify(given)));
    this.#tellTrimmed(trimmed.join('; '));
    send(report);
  }

  /** Once for each change, not with each report. */
  #tellTrimmed(trimmed: string): void {
    const isNew = trimmed !== '' && trimmed !== this.#trimmed;
    this.#trimmed = trimmed;
    if (isNew) {
      this.#options.onError(
        new Error(`Cannot report everything: it is more than one message holds; left out: ${trimmed}`),
      );
    }
  }
}
