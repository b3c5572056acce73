import { connect, createServer, type Server, type Socket } from 'node:net';

/** A wire between device and server that counts what comes down and can be held. */
export class TcpTap {
  /** Bytes towards the device. */
  bytesDown = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #upstreams = new Set<Socket>();
  #holdAt = Number.POSITIVE_INFINITY;

  private constructor(target: number) {
    this.#server = createServer((client) => {
      const upstream = connect(target, '127.0.0.1');
      this.#upstreams.add(upstream);
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on('error', () => {});
      }
      client.pipe(upstream);
      upstream.on('data', (piece) => {
        this.bytesDown += piece.length;
        if (!client.write(piece) || this.bytesDown >= this.#holdAt) upstream.pause();
      });
      client.on('drain', () => this.bytesDown < this.#holdAt && upstream.resume());
      client.on('close', () => upstream.destroy());
      upstream.on('close', () => {
        this.#upstreams.delete(upstream);
        client.destroy();
      });
    });
  }

  static async to(target: number): Promise<TcpTap> {
    const tap = new TcpTap(target);
    await new Promise<void>((resolve) => tap.#server.listen(0, '127.0.0.1', resolve));
    return tap;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Lets this many more bytes down, and then nothing. */
  holdAfter(bytes: number): void {
    this.#holdAt = this.bytesDown + bytes;
  }

  /** Lets everything through, and counts from nothing. */
  release(): void {
    this.bytesDown = 0;
    this.#holdAt = Number.POSITIVE_INFINITY;
    for (const upstream of this.#upstreams) upstream.resume();
  }

  /** Ends every connection; new ones are taken. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
