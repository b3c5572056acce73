import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { LIMITS } from '../../protocol/limits.ts';

const CONNECT = 1;

/** Follows MQTT fixed headers on a byte stream and tells when a packet declares too much. [MQTT 3.1.1 §2.2] */
export class LengthGuard {
  #limit: number = LIMITS.preAuthPacketBytes;
  #isFirst = true;
  /** Bytes of the present packet's body still to come. */
  #body = 0;
  /** Length digits read so far; -1 = the next byte is a packet's first. */
  #digits = -1;
  #length = 0;

  /** The session is authenticated: from now on packets may be larger. */
  admit(): void {
    this.#limit = LIMITS.packetBytes;
  }

  /** What is wrong with the bytes, or undefined. After a fault the stream must be cut. */
  inspect(chunk: Uint8Array): string | undefined {
    for (let at = 0; at < chunk.length; ) {
      if (this.#body > 0) {
        const skipped = Math.min(this.#body, chunk.length - at);
        this.#body -= skipped;
        at += skipped;
        continue;
      }
      const fault = this.#header(chunk[at] ?? 0);
      if (fault) return fault;
      at++;
    }
    return undefined;
  }

  #header(byte: number): string | undefined {
    if (this.#digits < 0) {
      if (this.#isFirst && byte >> 4 !== CONNECT) return 'the first packet is not CONNECT';
      this.#isFirst = false;
      this.#digits = 0;
      this.#length = 0;
      return undefined;
    }
    this.#length += (byte & 127) * 128 ** this.#digits;
    this.#digits++;
    if (byte & 128) return this.#digits === 4 ? 'the length has more than four digits' : undefined;
    const total = 1 + this.#digits + this.#length;
    if (total > this.#limit) return `a packet declares ${total} bytes; at most ${this.#limit} are allowed`;
    this.#digits = -1;
    this.#body = this.#length;
    return undefined;
  }
}

/**
 * A TLS socket behind the guard. The broker buffers what a packet declares, so nothing over the limit may reach its
 * parser; on a fault the socket is destroyed.
 */
export class GuardedConnection extends Duplex {
  readonly socket: TLSSocket;
  readonly #guard = new LengthGuard();

  constructor(socket: TLSSocket, onFault: (what: string) => void) {
    super({ highWaterMark: LIMITS.publishBytes, allowHalfOpen: false });
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      const fault = this.#guard.inspect(chunk);
      if (fault) {
        onFault(fault);
        this.destroy();
      } else if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  admit(): void {
    this.#guard.admit();
  }

  /** Writes whole packets. Resolves when their memory is free again, or it is over; cut when that takes too long. */
  send(packets: Buffer, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.destroy(), timeoutMs);
      this.write(packets, () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  override _read(): void {
    this.socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.socket.write(chunk, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.socket.cork();
    for (const [index, { chunk }] of chunks.entries()) {
      if (index === chunks.length - 1) this.socket.write(chunk, done);
      else this.socket.write(chunk);
    }
    this.socket.uncork();
  }

  override _final(done: () => void): void {
    this.socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.socket.destroy();
    done(error);
  }
}
