import { LIMITS } from '../../protocol/limits.ts';

const PUBLISH_QOS_0 = 0x30;
/** A packet's type and the first digit of its length. [MQTT 3.1.1 §2.2] */
const LEAST_HEAD_BYTES = 2;
const MOST_DIGITS = 4;

/**
 * Takes the QoS 0 messages of one topic out of the bytes of an MQTT session, before a client that copies each several
 * times and hands it through its streams. All other packets go by as they are.
 */
export class MessageSieve {
  /** The topic as it stands in a packet, its length before it. */
  readonly #topic: Buffer;
  readonly #onMessage: (payload: Buffer) => void;
  readonly #message = Buffer.allocUnsafeSlow(LIMITS.publishBytes);
  #filled = 0;
  /** First bytes of the present packet, until they tell whose it is. */
  readonly #head: Buffer;
  #headBytes = 0;
  /** So many bytes tell more. */
  #wantedBytes = LEAST_HEAD_BYTES;
  /** Bytes of the packet after its length; unknown while that has not come whole. */
  #length: number | undefined;
  /** Bytes of the packet after its head that are still to come. */
  #rest = 0;
  #isOurs = false;

  /** What `onMessage` is given lasts until it returns. */
  constructor(topic: string, onMessage: (payload: Buffer) => void) {
    const name = Buffer.from(topic);
    this.#topic = Buffer.concat([Buffer.from([name.length >> 8, name.length & 255]), name]);
    this.#onMessage = onMessage;
    this.#head = Buffer.alloc(1 + MOST_DIGITS + this.#topic.length);
  }

  /** Gives `pass` what is not ours, in memory that is used again. Returns why the stream must be cut, if it must. */
  take(bytes: Buffer, pass: (bytes: Buffer) => void): string | undefined {
    for (let at = 0; at < bytes.length; ) {
      const wanted = this.#rest > 0 ? this.#rest : this.#wantedBytes - this.#headBytes;
      const part = bytes.subarray(at, at + wanted);
      at += part.length;
      if (this.#rest > 0) {
        this.#takeBody(part, pass);
        continue;
      }
      this.#head.set(part, this.#headBytes);
      this.#headBytes += part.length;
      const fault = part.length === wanted ? this.#judge(pass) : undefined;
      if (fault) return fault;
    }
    return undefined;
  }

  #takeBody(part: Buffer, pass: (bytes: Buffer) => void): void {
    this.#rest -= part.length;
    if (!this.#isOurs) return pass(part);
    this.#message.set(part, this.#filled);
    this.#filled += part.length;
    if (this.#rest === 0) this.#deliver();
  }

  #deliver(): void {
    const payload = this.#message.subarray(0, this.#filled);
    this.#filled = 0;
    this.#onMessage(payload);
  }

  #judge(pass: (bytes: Buffer) => void): string | undefined {
    if (this.#length !== undefined) {
      const isOurs = this.#topic.equals(
        this.#head.subarray(this.#headBytes - this.#topic.length, this.#headBytes),
      );
      this.#settle(isOurs, this.#length - this.#topic.length, pass);
      return undefined;
    }
    const digits = this.#head.subarray(1, this.#headBytes);
    if ((digits.at(-1) ?? 0) >= 128) {
      this.#wantedBytes++;
      return digits.length === MOST_DIGITS ? 'the length of a packet has more than four digits' : undefined;
    }
    const length = digits.reduce((sum, digit, place) => sum + (digit & 127) * 128 ** place, 0);
    if (length > LIMITS.publishBytes)
      return `a packet declares ${length} bytes; at most ${LIMITS.publishBytes} are taken`;
    if (this.#head[0] === PUBLISH_QOS_0 && length >= this.#topic.length) {
      this.#length = length;
      this.#wantedBytes += this.#topic.length;
    } else this.#settle(false, length, pass);
    return undefined;
  }

  #settle(isOurs: boolean, rest: number, pass: (bytes: Buffer) => void): void {
    this.#isOurs = isOurs;
    this.#rest = rest;
    if (!isOurs) pass(this.#head.subarray(0, this.#headBytes));
    else if (rest === 0) this.#deliver();
    this.#headBytes = 0;
    this.#wantedBytes = LEAST_HEAD_BYTES;
    this.#length = undefined;
  }
}
