import { connect } from 'node:net';

/** A reply that takes longer will not come: redis, or the machine it ran on, went without a word. */
const ANSWER_MS = 2000;

/** A redis client of what is needed here: one command at a time over TCP (RESP2), connecting anew when redis is away. */
export class Redis {
  #address;
  #answerMs;
  #socket;
  #waiting = [];
  #text = '';
  constructor({ host, port = 6379, answerMs = ANSWER_MS }) {
    // Segments speak IPv4; a look-up of both families would wait for the other one.
    this.#address = { host, port, family: 4 };
    this.#answerMs = answerMs;
  }

  /** Resolves with the reply; rejects when redis is away. */
  command(...words) {
    const { promise, resolve, reject } = Promise.withResolvers();
    this.#socket ??= this.#open();
    const socket = this.#socket;
    const late = setTimeout(() => socket.destroy(new Error('redis does not answer')), this.#answerMs);
    this.#waiting.push({ resolve, reject });
    const bulk = words.map(String).map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    socket.write(`*${words.length}\r\n${bulk.join('')}`);
    return promise.finally(() => clearTimeout(late));
  }

  #open() {
    const socket = connect(this.#address).setEncoding('latin1');
    socket.on('data', (data) => {
      this.#text += data;
      for (let reply = parse(this.#text, 0); reply; reply = parse(this.#text, 0)) {
        this.#text = this.#text.slice(reply.end);
        const { resolve, reject } = this.#waiting.shift() ?? {};
        if (reply.value instanceof Error) reject?.(reply.value);
        else resolve?.(reply.value);
      }
    });
    const away = (error) => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#text = '';
      for (const { reject } of this.#waiting.splice(0))
        reject(error ?? new Error('redis closed the connection'));
    };
    socket.on('error', away).on('close', () => away());
    return socket;
  }
}

/** One RESP2 reply at `at`, or undefined while it is not whole. */
export function parse(text, at) {
  const line = text.indexOf('\r\n', at);
  if (line < 0) return undefined;
  const [kind, head, next] = [text[at], text.slice(at + 1, line), line + 2];
  if (kind === '+') return { value: head, end: next };
  if (kind === '-') return { value: new Error(head), end: next };
  if (kind === ':') return { value: Number(head), end: next };
  const size = Number(head);
  if (size < 0) return { value: null, end: next };
  if (kind === '$') {
    const end = next + size + 2;
    return text.length < end ? undefined : { value: text.slice(next, next + size), end };
  }
  const value = [];
  let end = next;
  for (let i = 0; i < size; i++) {
    const item = parse(text, end);
    if (!item) return undefined;
    value.push(item.value);
    end = item.end;
  }
  return { value, end };
}
