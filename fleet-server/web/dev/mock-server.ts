/**
 * The simulated fleet server: the REST API of rest/api.ts over a fleet in memory that moves, and the built UI.
 * For work on the UI and for its screenshots: `node fleet-server/web/dev/mock-server.ts [port]`, login admin / wherry.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { StreamEvent } from '../../rest/api.ts';
import { Fleet } from './mock/fleet.ts';
import { streamRemote } from './mock/remote-streams.ts';
import { type Reply, respond } from './mock/routes.ts';
import { serveStatic } from './mock/static.ts';

const TICK_MS = 1_000;
const COOKIE = 'wherry-mock=1';

export interface MockServer {
  url: string;
  fleet: Fleet;
  close(): Promise<void>;
}

export async function startMockServer({ port = 0, isEmpty = false } = {}): Promise<MockServer> {
  const streams = new Set<ServerResponse>();
  let eventId = 0;
  const emit = ({ kind, data }: StreamEvent) => {
    eventId += 1;
    for (const stream of streams)
      stream.write(`id: ${eventId}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  const fleet = new Fleet(Date.now(), emit);
  if (isEmpty) for (const list of [fleet.devices, fleet.releases, fleet.rollouts]) list.length = 0;
  const timer = setInterval(() => fleet.tick(Date.now()), TICK_MS);
  const server = createServer((request, response) => {
    handle(fleet, streams, request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error));
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fleet,
    close: () => {
      clearInterval(timer);
      for (const stream of streams) stream.destroy();
      return closed(server);
    },
  };
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function handle(
  fleet: Fleet,
  streams: Set<ServerResponse>,
  request: IncomingMessage,
  response: ServerResponse,
) {
  const { pathname } = new URL(request.url ?? '/', 'http://mock');
  if (!pathname.startsWith('/api/v1')) return serveStatic(pathname, response);
  const isSignedIn = request.headers.cookie?.includes(COOKIE) ?? false;
  if (isSignedIn && pathname === '/api/v1/stream') {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(': hello\n\n');
    streams.add(response);
    response.on('close', () => streams.delete(response));
    return;
  }
  if (isSignedIn && streamRemote(pathname.slice('/api/v1'.length), response)) return;
  const sent = await text(request);
  const body: unknown = sent === '' ? undefined : JSON.parse(sent);
  const path = pathname.slice('/api/v1'.length);
  send(
    response,
    respond(fleet, { method: request.method ?? 'GET', path, body, isSignedIn, now: Date.now() }),
  );
}

function send(response: ServerResponse, { status, body, session }: Reply): void {
  const cookie =
    session === 'start' ? `${COOKIE}; Path=/; HttpOnly; SameSite=Strict` : `${COOKIE}; Path=/; Max-Age=0`;
  response.writeHead(status, {
    'content-type': status >= 400 ? 'application/problem+json' : 'application/json',
    ...(session ? { 'set-cookie': cookie } : {}),
  });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

if (import.meta.main) {
  const { url } = await startMockServer({ port: Number(process.argv[2] ?? 8099) });
  process.stdout.write(`Simulated fleet server on ${url}, login admin / wherry\n`);
}
