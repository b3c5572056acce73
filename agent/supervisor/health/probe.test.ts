import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { Executed } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { ServiceProbe } from './probe.ts';

type Health = NonNullable<ServiceSpec['health']>;

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

function spec(check: Health['check'], change: Partial<ServiceSpec> = {}, timeoutMs = 5_000): ServiceSpec {
  const health = {
    check,
    intervalMs: 1_000,
    timeoutMs,
    retries: 3,
    startPeriodMs: 0,
    whenUnhealthy: 'restart',
  };
  return { name: 'web', network: 'host', health, ...change } as ServiceSpec;
}

const noExec = (): Promise<Executed> => Promise.reject(new Error('no exec here'));

function probe(given: ServiceSpec, parts: Partial<ConstructorParameters<typeof ServiceProbe>[0]> = {}) {
  const prober = new ServiceProbe({ exec: noExec, addressOf: () => undefined, ...parts });
  return prober.probe(given, new AbortController().signal);
}

async function listening(server: Server): Promise<number> {
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => sockets.add(socket));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const web = (answer: RequestListener) => listening(createServer(answer));
const http = (port: number, path = '/') => ({ kind: 'http', port, path }) as const;

test.each([
  [200, undefined],
  [204, undefined],
  [302, undefined],
  [404, 'HTTP 404'],
  [500, 'HTTP 500'],
  [503, 'HTTP 503'],
])('HTTP %i', async (status, detail) => {
  const port = await web((_, response) =>
    response.writeHead(status, { location: 'http://192.0.2.1/' }).end('x'),
  );
  expect(await probe(spec(http(port)))).toBe(detail);
});

test('the path is asked, once, of the address on its segment', async () => {
  const asked: string[] = [];
  const port = await web((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.end();
  });
  const given = spec(http(port, '/healthz?deep=1'), { network: 'segments' });
  expect(await probe(given)).toBe('it has no address yet');
  expect(await probe(given, { addressOf: () => '127.0.0.1' })).toBeUndefined();
  expect(asked).toEqual(['GET /healthz?deep=1']);
});

test('an endless body is an answer, and is not read to its end', async () => {
  let isGone = false;
  const port = await web((_, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(16_384)));
    };
    response.on('drain', more).on('close', () => (isGone = true));
    more();
  });
  expect(await probe(spec(http(port)))).toBeUndefined();
  await expect.poll(() => isGone).toBe(true);
});

test.each<[string, RequestListener]>([
  ['a server that never answers', () => {}],
  ['a body that stands still', (_, response) => void response.writeHead(200).write('x')],
])('%s is cut at the timeout', async (_, answer) => {
  const port = await web(answer);
  expect(await probe(spec(http(port), {}, 100))).toBe('no answer within 100 ms');
});

test('headers that trickle are cut at the timeout', async () => {
  const port = await listening(
    createTcpServer((socket) => {
      socket.on('error', () => {}).write('HTTP/1.1 200 OK\r\n');
      const drip = setInterval(() => socket.write('a: b\r\n'), 10);
      socket.on('close', () => clearInterval(drip));
    }),
  );
  expect(await probe(spec(http(port), {}, 150))).toBe('no answer within 150 ms');
});

test('what is not HTTP, or closes at once, is told', async () => {
  const mail = await listening(createTcpServer((socket) => socket.on('error', () => {}).end('220 mail\r\n')));
  expect(await probe(spec(http(mail)))).toMatch(/Parse Error/);
  const mute = await listening(createTcpServer((socket) => socket.destroy()));
  expect(await probe(spec(http(mute)))).toMatch(/hang up|ECONNRESET/);
});

test('tcp: a listener is well, a closed port is not', async () => {
  const server = createTcpServer();
  const port = await listening(server);
  expect(await probe(spec({ kind: 'tcp', port }))).toBeUndefined();
  server.close();
  await once(server, 'close');
  expect(await probe(spec({ kind: 'tcp', port }))).toMatch(/ECONNREFUSED/);
});

test.each(['http', 'tcp'] as const)('%s cannot reach a service without a network', async (kind) => {
  const given = spec({ kind, port: 80, path: '/' } as Health['check'], { network: 'none' });
  expect(await probe(given)).toBe(`it has no network, so ${kind} cannot reach it`);
});

test('exec: the exit code counts, and the output says why in one bounded line', async () => {
  const check = { kind: 'exec' as const, args: ['/bin/check'] };
  const answer = (executed: Executed) => probe(spec(check), { exec: () => Promise.resolve(executed) });
  expect(await answer({ exitCode: 0, output: 'fine' })).toBeUndefined();
  expect(await answer({ exitCode: 3, output: '' })).toBe('exit code 3');
  expect(await answer({ exitCode: 1, output: 'no\n  disk\n' })).toBe('exit code 1: no disk');
  expect((await answer({ exitCode: 1, output: 'x'.repeat(4096) }))?.length).toBeLessThanOrEqual(160);
});

test('exec that hangs, even without heeding its signal, or cannot be run, is unwell', async () => {
  const check = { kind: 'exec' as const, args: ['/bin/check'] };
  expect(await probe(spec(check, {}, 50), { exec: () => new Promise(() => {}) })).toBe(
    'no answer within 50 ms',
  );
  expect(await probe(spec(check))).toBe('no exec here');
});
