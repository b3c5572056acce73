import type { Answer, Ask, More } from '../../protocol/remote.ts';
import { REMOTE_LIMITS } from '../../protocol/remote-actions.ts';
import type { Clock } from '../supervisor/ports.ts';
import { afterSending, type Pace, waitMs } from './core/pace.ts';
import type { AnswerLease, AnswerPart } from './ports.ts';

/** Of what somebody typed and the program has not read yet. */
const INPUT_WAITING = 64;

/** The answer to one ask, on its way. Ends with its time, with the session, or when nobody waits for it any more. */
export class Reply {
  readonly id: string;
  readonly #ended = new AbortController();
  readonly #clock: Clock;
  readonly #lease: AnswerLease;
  readonly #cancelLife: () => void;
  readonly #inputs: Pick<More, 'input' | 'endInput' | 'resize'>[] = [];
  #pace: Pace;
  #sequence = 0;
  #isOver = false;
  readonly #waiting = new Set<() => void>();
  #wakeInput = () => {};

  constructor(ask: Pick<Ask, 'id' | 'lifeMs'>, lease: AnswerLease, clock: Clock) {
    this.id = ask.id;
    this.#lease = lease;
    this.#clock = clock;
    this.#pace = { credit: REMOTE_LIMITS.creditBytes, paidAt: clock.now() };
    this.#cancelLife = clock.after(ask.lifeMs, () => {
      this.#isOver = true;
      this.abort();
    });
  }

  /** Aborted when nothing more will be sent. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Its time ran out. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** At once, whatever the credit: that it was taken, and how it ended, are small. */
  sendNow(part: AnswerPart): void {
    const answer: Answer = { v: 1, id: this.id, sequence: this.#sequence++, ...part };
    const body = JSON.stringify(answer);
    const now = this.#clock.now();
    this.#pace = afterSending(this.#pace, Buffer.byteLength(body), now, REMOTE_LIMITS.bytesPerSecond);
    this.#lease.answer(body);
  }

  /** Resolves when it was sent; false when nobody waits for it any more. */
  async send(part: AnswerPart): Promise<boolean> {
    while (!this.signal.aborted) {
      const ms = waitMs(this.#pace, this.#clock.now());
      if (ms === 0) {
        this.sendNow(part);
        return true;
      }
      await this.pause(ms);
    }
    return false;
  }

  /** Until the time has passed (undefined = never), there is more credit, or it is over. */
  async pause(ms: number | undefined): Promise<void> {
    if (this.signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    const cancel = ms === undefined ? () => {} : this.#clock.after(ms, resolve);
    await promise;
    cancel();
    this.#waiting.delete(resolve);
  }

  take({ credit = 0, input, endInput, resize, end }: More): void {
    if (end) return this.abort();
    // Credit beyond the bound is a fault of the other end, and buys it nothing.
    this.#pace.credit = Math.min(this.#pace.credit + credit, REMOTE_LIMITS.creditBytes);
    if (credit > 0) this.#wakeAll();
    if (input === undefined && !endInput && !resize) return;
    if (this.#inputs.length >= INPUT_WAITING) return this.abort();
    this.#inputs.push({
      ...(input !== undefined && { input }),
      ...(endInput && { endInput }),
      ...(resize && { resize }),
    });
    this.#wakeInput();
  }

  /** What is typed, until it is over. */
  async *inputs(): AsyncGenerator<Pick<More, 'input' | 'endInput' | 'resize'>> {
    while (!this.signal.aborted) {
      const next = this.#inputs.shift();
      if (next) yield next;
      else
        await new Promise<void>((resolve) => {
          this.#wakeInput = resolve;
        });
    }
  }

  abort(): void {
    this.#ended.abort();
    this.#cancelLife();
    this.#wakeAll();
    this.#wakeInput();
  }

  close(): void {
    this.abort();
    this.#lease.release();
  }

  #wakeAll(): void {
    for (const wake of this.#waiting) wake();
  }
}
