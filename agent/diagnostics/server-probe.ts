import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { Identity } from '../enrolment/identity.ts';
import type { Endpoint, Reached } from './core/server.ts';

/** Node names failed connections by code; a race of addresses keeps them one level down. */
export function codeOf(error: unknown): string {
  const { code, errors } = error as NodeJS.ErrnoException & { errors?: NodeJS.ErrnoException[] };
  return code ?? errors?.[0]?.code ?? 'unknown';
}

export const isAddress = (host: string): boolean => isIP(bare(host)) !== 0;
const bare = (host: string): string => host.replace(/^\[|\]$/g, '');

/**
 * One handshake with the device's own certificate, judged by the CA that it was given when it enrolled and nothing else.
 * Sends nothing after it. `limitMs`: how long silence may last.
 */
export function reach(
  endpoint: Endpoint,
  { key, certificate, ca }: Pick<Identity, 'key' | 'certificate' | 'ca'>,
  { signal, limitMs }: { signal: AbortSignal; limitMs: number },
): Promise<Reached> {
  const began = performance.now();
  return new Promise((resolve) => {
    const host = bare(endpoint.host);
    const servername = isIP(host) ? '' : host;
    const socket: TLSSocket = connect({ host, port: endpoint.port, servername, key, cert: certificate, ca });
    const end = (reached: Reached): void => {
      socket.destroy();
      resolve(reached);
    };
    const stop = (): void => end({ endpoint, code: 'timeout', message: 'no answer' });
    signal.addEventListener('abort', stop, { once: true });
    socket.setTimeout(limitMs, stop);
    socket.once('error', (error) => end({ endpoint, code: codeOf(error), message: error.message }));
    socket.once('secureConnect', () =>
      end({
        endpoint,
        protocol: socket.getProtocol() ?? 'TLS',
        tookMs: Math.round(performance.now() - began),
      }),
    );
  });
}
