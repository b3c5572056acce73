import type { AddressInfo, Server } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** Starts listening and gives the port (the one that was picked, when asked for 0). */
export async function listen(server: Server, host: string, port: number): Promise<number> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    throw listenError(host, port, error);
  }
  return (server.address() as AddressInfo).port;
}

function listenError(host: string, port: number, cause: unknown): Error {
  const code = (cause as NodeJS.ErrnoException).code;
  const what =
    code === 'EADDRINUSE'
      ? 'the port is in use; stop the program that holds it, or choose another port'
      : code === 'EACCES'
        ? 'the port needs more rights; choose one above 1023'
        : `${(cause as Error).message}; choose an address of this machine`;
  return new Error(`Cannot listen on ${host}:${port}: ${what}`, { cause });
}

/** The same for a Fastify application, which is closed again when it cannot listen. */
export async function listenApp(
  // oxlint-disable-next-line typescript/no-explicit-any
  app: FastifyInstance<any, any, any, any, any>,
  host: string,
  port: number,
): Promise<number> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    await app.close();
    throw listenError(host, port, error);
  }
  return (app.server.address() as AddressInfo).port;
}
