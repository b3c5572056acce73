import { setImmediate as nextTurn } from 'node:timers/promises';
import { FIELDS, LENGTH_FIELD, Message } from './message.js';
import { alarms, CODES, failure, keep, misuse, native } from './native.js';

const POOL_BYTES = 64 * 1024;
const BATCH_MESSAGES = 256;
/** A channel that never runs empty must not keep the loop from everything else. */
const TURN_MS = 5;

let lastId = 0;

export class Subscriber {
  #handle;
  #id = ++lastId;
  #isViewing = false;
  #isRef = true;
  /** Of waits under way: what ends each. */
  #waits = new Set();
  #publishers;
  #fields = new Float64Array(FIELDS * BATCH_MESSAGES);
  #one = this.#fields.subarray(0, FIELDS);
  /** Messages of take() lie here side by side, as small Buffers of Node itself do. */
  #pool = Buffer.alloc(0);
  #poolUsed = 0;
  #turnSince = 0;

  constructor(channel, { dir, service } = {}) {
    const handle = native.subscriberOpen(dir, service, channel, this.#id);
    if (typeof handle === 'number') throw failure('subscribe to', `"${channel}"`, handle);
    this.#handle = handle;
    const { publisherNames, ...info } = native.subscriberInfo(handle);
    this.#publishers = publisherNames;
    this.info = Object.freeze({ ...info, publisherNames: Object.freeze(publisherNames) });
  }

  get isClosed() {
    return this.#handle === undefined;
  }

  take() {
    return this.#takeCopies(this.#one)[0];
  }

  takeAll(max = BATCH_MESSAGES) {
    return this.#takeCopies(this.#fieldsFor(max));
  }

  takeInto(memory) {
    if (!ArrayBuffer.isView(memory)) throw new TypeError('Cannot take: give a Buffer or another view');
    const bytes = Buffer.from(memory.buffer, memory.byteOffset, memory.byteLength);
    const count = native.take(this.#own(), bytes, 0, this.#one);
    if (count < 0) throw this.#failure(count);
    return count === 0 ? undefined : new Message(bytes, this.#one, 0, this.#publishers);
  }

  view(use) {
    const handle = this.#own();
    const memory = native.view(handle, this.#one);
    if (memory === 0) return undefined;
    if (typeof memory === 'number') throw this.#failure(memory);
    this.#isViewing = true;
    let whole = 0;
    let value;
    try {
      value = use(new Message(Buffer.from(memory), this.#one, 0, this.#publishers));
    } finally {
      whole = native.viewEnd(handle, memory);
      this.#isViewing = false;
    }
    if (whole < 0) throw this.#failure(whole);
    return { isWhole: whole === 1, value };
  }

  /** Ends with true: a message may be there; false: time is up, or closed. */
  async ready({ timeoutMs, signal } = {}) {
    signal?.throwIfAborted();
    if (this.#handle === undefined) return false;
    const armed = native.arm(this.#own());
    if (armed < 0) throw this.#failure(armed);
    return armed === 1 || (await this.#alarm(timeoutMs, signal));
  }

  #alarm(timeoutMs, signal) {
    return new Promise((resolve, reject) => {
      const isRef = this.#isRef;
      const timer = timeoutMs === undefined ? undefined : setTimeout(() => end(false), timeoutMs);
      if (!isRef) timer?.unref();
      const stop = () => {
        end(false);
        reject(signal.reason);
      };
      const wait = { isRef, end: (isReady) => end(isReady) };
      const end = (isReady) => {
        if (!this.#waits.delete(wait)) return;
        if (this.#waits.size === 0) alarms.delete(this.#id);
        clearTimeout(timer);
        signal?.removeEventListener('abort', stop);
        if (wait.isRef) keep(-1);
        if (!signal?.aborted) resolve(isReady);
      };
      signal?.addEventListener('abort', stop);
      if (isRef) keep(1);
      this.#waits.add(wait);
      alarms.set(this.#id, this.#ring);
    });
  }

  #ring = () => {
    for (const wait of this.#waits) wait.end(true);
  };

  async *batches({ signal, max = BATCH_MESSAGES, reuse = false } = {}) {
    const fields = this.#fieldsFor(max);
    const scratch = { memory: Buffer.alloc(0) };
    for (;;) {
      const batch = this.#handle === undefined || !reuse ? undefined : this.#takeInto(scratch, fields);
      const messages = batch ?? (this.#handle === undefined ? [] : this.#takeCopies(fields));
      if (messages.length > 0) {
        yield messages;
        if (performance.now() - this.#turnSince > TURN_MS) await this.#turn();
        signal?.throwIfAborted();
      } else if (!(await this.#next(signal))) return;
    }
  }

  async *messages({ signal } = {}) {
    for (;;) {
      const message = this.#handle === undefined ? undefined : this.take();
      if (message !== undefined) {
        yield message;
        if (performance.now() - this.#turnSince > TURN_MS) await this.#turn();
        signal?.throwIfAborted();
      } else if (!(await this.#next(signal))) return;
    }
  }

  [Symbol.asyncIterator]() {
    return this.messages();
  }

  /** false: closed. */
  async #next(signal) {
    const isReady = await this.ready({ signal });
    this.#turnSince = performance.now();
    return isReady || this.#handle !== undefined;
  }

  async #turn() {
    await nextTurn();
    this.#turnSince = performance.now();
  }

  stats() {
    return native.subscriberStats(this.#own());
  }

  ref() {
    return this.#setRef(true);
  }

  unref() {
    return this.#setRef(false);
  }

  #setRef(isRef) {
    this.#isRef = isRef;
    for (const wait of this.#waits) {
      if (wait.isRef !== isRef) keep(isRef ? 1 : -1);
      wait.isRef = isRef;
    }
    return this;
  }

  close() {
    if (this.#isViewing) throw misuse(`Cannot close "${this.info.channel}": a view is open`);
    if (this.#handle === undefined) return;
    native.subscriberClose(this.#handle);
    this.#handle = undefined;
    for (const wait of this.#waits) wait.end(false);
  }

  [Symbol.dispose]() {
    this.close();
  }

  #own() {
    if (this.#handle === undefined)
      throw misuse(`Cannot take from "${this.info.channel}": the subscriber is closed`);
    if (this.#isViewing) throw misuse(`Cannot take from "${this.info.channel}": a view is open`);
    return this.#handle;
  }

  #failure(code) {
    return failure('take from', `"${this.info.channel}"`, code);
  }

  #fieldsFor(max) {
    if (!Number.isInteger(max) || max < 1) throw new TypeError('Cannot take: max must be 1 or more');
    return max <= BATCH_MESSAGES ? this.#fields.subarray(0, FIELDS * max) : new Float64Array(FIELDS * max);
  }

  /** Into memory that nobody uses again. */
  #takeCopies(fields) {
    const handle = this.#own();
    const room = fields.length / FIELDS;
    const messages = [];
    for (;;) {
      const left = fields.subarray(0, FIELDS * (room - messages.length));
      const count = native.take(handle, this.#pool, this.#poolUsed, left);
      if (count === CODES.WIPC_ETOOBIG) {
        this.#pool = Buffer.allocUnsafeSlow(Math.max(POOL_BYTES, fields[LENGTH_FIELD]));
        this.#poolUsed = 0;
        continue;
      }
      if (count < 0) throw this.#failure(count);
      if (count === 0) return messages;
      this.#tell(messages, this.#pool, left, count);
      this.#poolUsed = endOf(messages.at(-1).data, this.#pool);
      // Whether it ended for want of room or of messages: where any message had fitted, of messages.
      if (messages.length === room || this.#pool.length - this.#poolUsed >= this.info.slotSize)
        return messages;
    }
  }

  /** Into memory that the next batch uses again: at least 1 MiB, or one slot. */
  #takeInto(scratch, fields) {
    if (scratch.memory.length === 0)
      scratch.memory = Buffer.allocUnsafeSlow(Math.max(1024 * 1024, this.info.slotSize));
    const count = native.take(this.#own(), scratch.memory, 0, fields);
    if (count < 0) throw this.#failure(count);
    return this.#tell([], scratch.memory, fields, count);
  }

  #tell(messages, memory, fields, count) {
    for (let i = 0; i < count; i++) messages.push(new Message(memory, fields, i, this.#publishers));
    return messages;
  }
}

/** Where the next message may lie: messages begin at multiples of eight. */
const endOf = (data, pool) => Math.min((data.byteOffset + data.length + 7) & ~7, pool.length);
