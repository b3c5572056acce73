import type { Answer, AnswerEnd, More } from '../../protocol/remote.ts';
import { REMOTE_LIMITS } from '../../protocol/remote-actions.ts';

export type End = NonNullable<Answer['end']>;
/** `lost`: the device went, or did not keep to the protocol. */
export type CallEnd = Omit<End, 'code'> & { code: AnswerEnd | 'lost' };

/** Credit is given back in pieces of this size: fewer messages than answers. */
const GRANT_BYTES = REMOTE_LIMITS.creditBytes / 4;

/** One wish of a user and its answers, as they are taken. What waits here is bounded by the credit that was given. */
export class RemoteCall {
  readonly id: string;
  readonly endsAt: number;
  readonly #more: (part: Omit<More, 'v' | 'id'>) => void;
  readonly #onOver: () => void;
  readonly #waiting: { answer: Answer; bytes: number }[] = [];
  #credit: number = REMOTE_LIMITS.creditBytes;
  #taken = 0;
  #sequence = 0;
  #end: CallEnd | undefined;
  #changed = () => {};

  constructor(parts: {
    id: string;
    /** By the server's clock. */
    endsAt: number;
    more(part: Omit<More, 'v' | 'id'>): void;
    onOver(): void;
  }) {
    this.id = parts.id;
    this.endsAt = parts.endsAt;
    this.#more = parts.more;
    this.#onOver = parts.onOver;
  }

  /** Set once nothing more comes. */
  get end(): CallEnd | undefined {
    return this.#end;
  }

  /** The device has answered. */
  get hasBegun(): boolean {
    return this.#sequence > 0;
  }

  /** From the device, checked. What does not keep to the protocol ends the call. */
  push(answer: Answer, bytes: number): void {
    if (this.#end) return;
    this.#credit -= bytes;
    if (answer.sequence !== this.#sequence++) return this.cut('an answer of the device was lost');
    // The device may go over by one answer, and tells its end whatever its credit.
    if (this.#credit < -2 * REMOTE_LIMITS.answerBytes)
      return this.cut('the device sent more than it was asked for');
    this.#waiting.push({ answer, bytes });
    if (answer.end) this.#over(answer.end);
    this.#changed();
  }

  /** The next answer, or undefined once there are no more. */
  async next(): Promise<Answer | undefined> {
    while (this.#waiting.length === 0 && !this.#end) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    const next = this.#waiting.shift();
    if (next) this.#took(next.bytes);
    return next?.answer;
  }

  /** To the device, about this call. */
  send(part: Pick<More, 'input' | 'endInput' | 'resize'>): void {
    if (!this.#end) this.#more(part);
  }

  /** Nobody waits for it any more. */
  leave(): void {
    if (this.#end) return;
    this.#more({ end: true });
    this.#over({ code: 'done', message: '' });
  }

  /** Its time is over; the device counts for itself as well. */
  expire(): void {
    if (this.#end) return;
    this.#more({ end: true });
    this.#over({ code: 'over', message: 'its time is over' });
  }

  /** What waits is dropped: it may have a gap. */
  cut(message: string): void {
    if (this.#end) return;
    this.#waiting.length = 0;
    this.#more({ end: true });
    this.#over({ code: 'lost', message });
  }

  #took(bytes: number): void {
    this.#taken += bytes;
    if (this.#taken < GRANT_BYTES || this.#end) return;
    this.#credit += this.#taken;
    this.#more({ credit: Math.min(this.#taken, REMOTE_LIMITS.creditBytes) });
    this.#taken = 0;
  }

  #over(end: CallEnd): void {
    this.#end = end;
    this.#onOver();
    this.#changed();
  }
}
