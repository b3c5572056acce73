import { connect as connectTcp, type OnReadOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';

/**
 * Sees all bytes first and gives on to the stream, by `pass`, what it does not take itself. All that it is given and
 * gives is in memory that is used again. Says why the stream must be cut, if it must.
 */
export interface Sieve {
  take(bytes: Buffer, pass: (bytes: Buffer) => void): string | undefined;
}

/** Opens the byte stream of one MQTT session. */
export type Dial = (sieve?: Sieve) => Duplex;

export interface TlsEndpoint {
  host: string;
  port: number;
  /** PEM. */
  key: string;
  certificate: string;
  ca: string;
}

/** What a TLS record holds at most: Node hands on no more than that at a time. */
const READ_BYTES = 16 * 1024;

/** Mutual TLS; the session ticket of one connection shortens the handshake of the next. */
export function tlsDial({ host, port, key, certificate, ca }: TlsEndpoint): Dial {
  let session: Buffer | undefined;
  return (sieve) => {
    const options: ConnectionOptions = { host, port, key, cert: certificate, ca };
    if (session) options.session = session;
    const socket = through(sieve, (onread) => connectTls({ ...options, ...onread }));
    // Without it Nagle and delayed acknowledgements cost an order of magnitude on 64 KiB messages.
    socket.setNoDelay(true);
    socket.on('session', (ticket) => {
      session = ticket;
    });
    socket.once('error', () => {
      session = undefined;
    });
    return socket;
  };
}

/** For a broker on this machine. */
export function tcpDial({ host, port }: { host: string; port: number }): Dial {
  return (sieve) => through(sieve, (onread) => connectTcp({ host, port, noDelay: true, ...onread }));
}

/** Reads into one buffer that is used again, where there is a sieve: what comes makes no garbage. */
function through<S extends Duplex>(
  sieve: Sieve | undefined,
  open: (onread: { onread?: OnReadOpts }) => S,
): S {
  if (!sieve) return open({});
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  const callback = (count: number): boolean => {
    let mayGoOn = true;
    const fault = sieve.take(buffer.subarray(0, count), (bytes) => {
      mayGoOn = socket.push(Buffer.from(bytes));
    });
    if (fault) socket.destroy(new Error(fault));
    return mayGoOn;
  };
  const socket = open({ onread: { buffer, callback } });
  return socket;
}
