import { connect, createServer, type Server, type Socket } from 'node:net';

/** What one connection suffers. What is left out does no harm. */
export interface Line {
  /** Each way. */
  latencyMs?: number;
  /** Towards the device. */
  bytesPerSecond?: number;
  /** Bytes are handed on in pieces of 1 to so many. */
  pieceBytes?: number;
  /** As TCP shows loss: a piece, and all behind it, comes this much later, with this probability. */
  stalls?: { probability: number; ms: number };
  /** Towards the device; the connection is reset once so many have passed. */
  resetAfterBytes?: number;
  /** Towards the device; then nothing passes either way, and nobody is told. */
  silentAfterBytes?: number;
  /** The connection is reset so long after it was made. */
  resetAfterMs?: number;
  /** The server's side is closed and the device not told. */
  halfOpenAfterBytes?: number;
}

/** So much may be on its way; a line is no store. */
const IN_FLIGHT_BYTES = 128 * 1024;
/** Of a TCP segment on Ethernet. */
const PACKET_BYTES = 1_460;

/** A TCP line between device and server whose faults are scripted, the same for the same seed. */
export class FaultProxy {
  /** Where the next connections go. */
  target: number;
  /** What the n-th connection from the first suffers. */
  script: (connection: number) => Line = () => ({});
  /** The next connections are reset at once. */
  isDown = false;
  bytesDown = 0;
  bytesUp = 0;
  connections = 0;
  readonly #server: Server;
  readonly #random: () => number;
  readonly #wires = new Set<Wire>();

  private constructor(target: number, seed: number) {
    this.target = target;
    this.#random = randomFrom(seed);
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => this.#accept(client));
  }

  static async to(target: number, seed = 1): Promise<FaultProxy> {
    const proxy = new FaultProxy(target, seed);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  get open(): number {
    return this.#wires.size;
  }

  /** Resets every connection; new ones are taken. */
  cut(): void {
    for (const wire of this.#wires) wire.reset();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(client: Socket): void {
    client.on('error', () => {});
    const number = ++this.connections;
    if (this.isDown) return void client.resetAndDestroy();
    const server = connect({ port: this.target, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    const wire = new Wire(client, server, this.script(number), this.#random, {
      down: (bytes) => (this.bytesDown += bytes),
      up: (bytes) => (this.bytesUp += bytes),
      ended: () => this.#wires.delete(wire),
    });
    this.#wires.add(wire);
  }
}

interface Counts {
  down(bytes: number): void;
  up(bytes: number): void;
  ended(): void;
}

/** One connection of a device and its counterpart to the server. */
class Wire {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #line: Line;
  readonly #ended: () => void;
  #timer: NodeJS.Timeout | undefined;
  #down = 0;
  #isSilent = false;

  constructor(client: Socket, server: Socket, line: Line, random: () => number, counts: Counts) {
    this.#client = client;
    this.#server = server;
    this.#line = line;
    this.#ended = counts.ended;
    server.on('error', () => this.reset());
    for (const socket of [client, server]) socket.on('close', () => !this.#isSilent && this.reset());
    if (line.resetAfterMs !== undefined) this.#timer = setTimeout(() => this.reset(), line.resetAfterMs);
    const up: Line = { ...line };
    delete up.bytesPerSecond;
    const isSilent = () => this.#isSilent;
    carry({ from: client, to: server, line: up, random, isSilent, passed: counts.up });
    const passed = (bytes: number) => {
      counts.down(bytes);
      this.#passedDown(bytes);
    };
    carry({ from: server, to: client, line, random, isSilent, passed });
  }

  reset(): void {
    clearTimeout(this.#timer);
    this.#client.resetAndDestroy();
    this.#server.resetAndDestroy();
    this.#ended();
  }

  #passedDown(bytes: number): void {
    this.#down += bytes;
    const reached = (limit: number | undefined) => limit !== undefined && this.#down >= limit;
    if (reached(this.#line.resetAfterBytes)) this.reset();
    if (reached(this.#line.silentAfterBytes)) this.#isSilent = true;
    if (reached(this.#line.halfOpenAfterBytes)) {
      this.#isSilent = true;
      this.#server.resetAndDestroy();
    }
  }
}

interface Lane {
  from: Socket;
  to: Socket;
  line: Line;
  random: () => number;
  isSilent(): boolean;
  passed(bytes: number): void;
}

/** One direction: takes pieces in, lets each out when it is due, reads no more than fits on the line. */
function carry({ from, to, line, random, isSilent, passed }: Lane): void {
  const waiting: { piece: Buffer; dueAt: number }[] = [];
  let bytes = 0;
  let freeAt = 0;
  let isSending = false;
  let hasEnded = false;

  function send(): void {
    const next = waiting[0];
    isSending = next !== undefined;
    if (!next) {
      if (hasEnded && !to.destroyed) to.end();
      return;
    }
    const waitMs = next.dueAt - performance.now();
    if (waitMs >= 1) setTimeout(send, waitMs);
    else if (!isSilent() && !to.destroyed) deliver();
  }

  function deliver(): void {
    const { piece } = waiting.shift() ?? { piece: Buffer.alloc(0) };
    bytes -= piece.length;
    if (bytes < IN_FLIGHT_BYTES) from.resume();
    const isTaken = to.write(piece);
    passed(piece.length);
    if (isTaken) send();
    else to.once('drain', send);
  }

  from.on('data', (data) => {
    if (isSilent()) return;
    for (const piece of piecesOf(data, line, random)) {
      const now = performance.now();
      const costMs = line.bytesPerSecond === undefined ? 0 : (1000 * piece.length) / line.bytesPerSecond;
      const stallMs = line.stalls && random() < line.stalls.probability ? line.stalls.ms : 0;
      freeAt = Math.max(freeAt, now) + costMs + stallMs;
      waiting.push({ piece, dueAt: freeAt + (line.latencyMs ?? 0) });
      bytes += piece.length;
    }
    if (bytes >= IN_FLIGHT_BYTES) from.pause();
    if (!isSending) send();
  });
  from.on('end', () => {
    hasEnded = true;
    if (!isSending) send();
  });
}

function* piecesOf(
  data: Buffer,
  { pieceBytes, bytesPerSecond }: Line,
  random: () => number,
): Generator<Buffer> {
  // A slow line hands on each packet when it has come, not all that was sent at once when the last has.
  const most = bytesPerSecond === undefined ? data.length : PACKET_BYTES;
  for (let at = 0; at < data.length; ) {
    const end = at + (pieceBytes === undefined ? most : 1 + Math.floor(random() * pieceBytes));
    yield data.subarray(at, end);
    at = end;
  }
}

/** mulberry32: 0 to 1, the same sequence for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
