/** What addon and wrapper tell each other of a message, in numbers; subscriber.c has the same list. */
const [OFFSET, LENGTH, TYPE, PUBLISHER, EPOCH, LOST, SEQUENCE, SECONDS, NANOSECONDS] = Array(9).keys();
export const FIELDS = NANOSECONDS + 1;
export const LENGTH_FIELD = LENGTH;

export class Message {
  #seconds;
  #nanoseconds;

  /** `index`: which message of `fields`. */
  constructor(memory, fields, index, publishers) {
    const at = index * FIELDS;
    this.data = memory.subarray(fields[at + OFFSET], fields[at + OFFSET] + fields[at + LENGTH]);
    this.type = fields[at + TYPE];
    this.publisher = publishers[fields[at + PUBLISHER]];
    this.epoch = fields[at + EPOCH];
    this.sequence = fields[at + SEQUENCE];
    this.lost = fields[at + LOST];
    this.#seconds = fields[at + SECONDS];
    this.#nanoseconds = fields[at + NANOSECONDS];
  }

  get timestampNs() {
    return BigInt(this.#seconds) * 1_000_000_000n + BigInt(this.#nanoseconds);
  }
}
