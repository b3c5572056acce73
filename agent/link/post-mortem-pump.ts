import { checkPostMortem, type PostMortem } from '../../protocol/post-mortem.ts';
import type { Clock } from '../supervisor/ports.ts';
import type { Log } from '../update/ports.ts';
import type { PostMortemQueue } from './ports.ts';

export interface PostMortemPumpOptions {
  queue: PostMortemQueue;
  send(capsule: PostMortem): void;
  clock: Clock;
  log: Log;
  times?: Partial<PostMortemTimes>;
}

export interface PostMortemTimes {
  /** After the session opened: hello, reports and events go first. */
  settleMs: number;
  /** Between one that was acknowledged and the next: at most 32 KiB in this time. */
  paceMs: number;
  /** One that nobody acknowledged goes again after this. */
  resendMs: number;
}

const TIMES: PostMortemTimes = { settleMs: 5_000, paceMs: 2_000, resendMs: 60_000 };

/** Sends post-mortems one at a time, the oldest first, slowly enough to be in nobody's way. */
export class PostMortemPump {
  readonly #options: PostMortemPumpOptions;
  readonly #times: PostMortemTimes;
  #isOpen = false;
  /** On its way: not acknowledged yet. */
  #sent: string | undefined;
  #cancel: (() => void) | undefined;

  constructor(options: PostMortemPumpOptions) {
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
    options.queue.onAdded(() => {
      if (this.#isOpen && this.#cancel === undefined) this.#sendIn(this.#times.paceMs);
    });
  }

  opened(): void {
    this.#isOpen = true;
    this.#sent = undefined;
    this.#sendIn(this.#times.settleMs);
  }

  closed(): void {
    this.#isOpen = false;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  acknowledged(ids: readonly string[]): void {
    if (this.#sent === undefined || !ids.includes(this.#sent)) return;
    void this.#options.queue.acknowledge(this.#sent);
    this.#sent = undefined;
    if (this.#isOpen) this.#sendIn(this.#times.paceMs);
  }

  #sendIn(ms: number): void {
    this.#cancel?.();
    this.#cancel = this.#options.clock.after(ms, () => {
      this.#cancel = undefined;
      this.#send();
    });
  }

  #send(): void {
    const { queue, send, log } = this.#options;
    const capsule = queue.next();
    if (capsule === undefined) return;
    const checked = checkPostMortem(capsule);
    if (checked.ok) {
      this.#sent = capsule.id;
      send(checked.value);
      return this.#sendIn(this.#times.resendMs);
    }
    // It would be refused for ever, and those after it would never go.
    log.warn({ id: capsule.id, faults: checked.faults }, 'Cannot send a post-mortem: it stays on the device');
    void queue.acknowledge(capsule.id);
    this.#sendIn(this.#times.paceMs);
  }
}
