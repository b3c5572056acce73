import { CODES, failure, misuse, native } from './native.js';

/** Node's names for a length of time are milliseconds; the library's word for "as the channel says" is -1. */
const timeoutOf = (timeoutMs) => {
  if (timeoutMs === undefined) return -1;
  if (Number.isInteger(timeoutMs) && timeoutMs >= 0 && timeoutMs < 2 ** 31) return timeoutMs;
  throw new TypeError('Cannot publish: timeoutMs must be a whole number of milliseconds');
};

const bytesOf = (data) => {
  if (typeof data === 'string') return Buffer.from(data);
  if (ArrayBuffer.isView(data)) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  throw new TypeError('Cannot publish: data must be a string, an ArrayBuffer or a view of one');
};

const typeOf = (type) => {
  if (Number.isInteger(type) && type >= 0 && type <= 0xffffffff) return type;
  throw new TypeError('Cannot publish: type must be a whole number from 0 to 4294967295');
};

export class Publisher {
  #handle;
  #isBusy = false;
  #isWriting = false;
  /** The last send(): the next one goes after it. */
  #last = Promise.resolve();

  constructor(channel, { dir, service } = {}) {
    const handle = native.publisherOpen(dir, service, channel);
    if (typeof handle === 'number') throw failure('publish to', `"${channel}"`, handle);
    this.#handle = handle;
    this.info = Object.freeze(native.publisherInfo(handle));
  }

  get isClosed() {
    return this.#handle === undefined;
  }

  publish(data, { type = 0, timeoutMs = 0 } = {}) {
    const handle = this.#own();
    return this.#isSent(native.publish(handle, bytesOf(data), typeOf(type), timeoutOf(timeoutMs)));
  }

  write(length, fill, { type = 0, timeoutMs = 0 } = {}) {
    const handle = this.#own();
    const slot = native.reserve(handle, length, timeoutOf(timeoutMs));
    if (typeof slot === 'number') return this.#isSent(slot);
    let written = -1;
    this.#isWriting = true;
    try {
      const used = fill(new Uint8Array(slot));
      if (typeof used === 'number' && !(Number.isInteger(used) && used >= 0 && used <= length))
        throw new TypeError(`Cannot publish: ${used} is not a number of bytes up to ${length}`);
      written = typeof used === 'number' ? used : length;
    } finally {
      this.#isWriting = false;
      // Without a length: nothing is published, and the memory is out of reach all the same.
      const code = native.commit(handle, slot, written, typeOf(type));
      if (written >= 0) this.#isSent(code);
    }
    return true;
  }

  send(data, { type = 0, timeoutMs, signal } = {}) {
    const message = { bytes: bytesOf(data), type: typeOf(type), timeoutMs: timeoutOf(timeoutMs) };
    let isOver;
    const over = new Promise((resolve) => (isOver = resolve));
    const mine = this.#last
      .then(() => this.#send(message, signal, isOver))
      .finally(() => {
        if (!this.#isBusy) isOver();
      });
    this.#last = over;
    return mine;
  }

  /** `isOver` is called when the handle is free again, which an abort does not wait for. */
  async #send({ bytes, type, timeoutMs }, signal, isOver) {
    signal?.throwIfAborted();
    const handle = this.#own();
    // Only a reliable channel makes a publisher wait.
    if (this.info.mode !== 'reliable') return this.#isSent(native.publish(handle, bytes, type, 0));
    const sending = native.send(handle, bytes, type, timeoutMs);
    this.#isBusy = true;
    let stop;
    const aborted = new Promise((_resolve, reject) => {
      stop = () => native.abort(handle) && reject(signal.reason);
    });
    signal?.addEventListener('abort', stop);
    const done = Promise.resolve(sending).finally(() => {
      this.#isBusy = false;
      signal?.removeEventListener('abort', stop);
      isOver();
    });
    return this.#isSent(await Promise.race([done, aborted]));
  }

  stats() {
    if (this.#handle === undefined) throw this.#closed();
    return native.publisherStats(this.#handle);
  }

  close() {
    if (this.#isWriting) throw misuse(`Cannot close "${this.info.channel}": a write is under way`);
    if (this.#handle === undefined) return;
    native.abort(this.#handle);
    native.publisherClose(this.#handle);
    this.#handle = undefined;
  }

  [Symbol.dispose]() {
    this.close();
  }

  #own() {
    if (this.#handle === undefined) throw this.#closed();
    if (this.#isBusy || this.#isWriting)
      throw misuse(
        `Cannot publish to "${this.info.channel}": another message is under way; await send() first`,
      );
    return this.#handle;
  }

  #closed() {
    return misuse(`Cannot publish to "${this.info.channel}": the publisher is closed`);
  }

  /** false: a subscriber of a reliable channel was too slow. */
  #isSent(code) {
    if (code === 0) return true;
    if (code === CODES.WIPC_EAGAIN) return false;
    throw failure('publish to', `"${this.info.channel}"`, code);
  }
}
