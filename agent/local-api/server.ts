import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { UPGRADE } from './exec-frames.ts';
import { LOCAL_API_LIMITS } from './limits.ts';
import type { AgentView } from './ports.ts';
import { type Answer, problem } from './problems.ts';
import { answerRequest, bodyLimit, execService } from './routes.ts';
import { type Group, listenOnSocket } from './socket.ts';

export interface LocalApiOptions {
  view: AgentView;
  socketPath: string;
  /** Who may use the socket beside root; the group `wherry` of /etc/group when not given. */
  group?: Group;
  /** Hears of every request that failed inside the agent. */
  onError: (error: unknown) => void;
}

export interface LocalApi {
  /** Cuts followers off and unlinks the socket. */
  close(): Promise<void>;
}

/** Serves the local API. The socket takes callers when this resolves; throws LocalSocketError when it cannot. */
export async function serveLocalApi({
  view,
  socketPath,
  group,
  onError,
}: LocalApiOptions): Promise<LocalApi> {
  const server = createServer(
    {
      maxHeaderSize: LOCAL_API_LIMITS.headerBytes,
      headersTimeout: LOCAL_API_LIMITS.headersMs,
      requestTimeout: LOCAL_API_LIMITS.requestMs,
      keepAliveTimeout: LOCAL_API_LIMITS.keepAliveMs,
      connectionsCheckingInterval: LOCAL_API_LIMITS.headersMs,
    },
    (request, response) => void handle(view, request, response, onError),
  );
  server.maxConnections = LOCAL_API_LIMITS.connections;
  server.maxHeadersCount = LOCAL_API_LIMITS.headers;
  const upgraded = new Set<Socket>();
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    upgraded.add(socket);
    socket.once('close', () => upgraded.delete(socket));
    upgrade(view, request, socket, head, onError).catch((error: unknown) => {
      onError(error);
      socket.destroy();
    });
  });
  await listenOnSocket(server, socketPath, group ?? { name: 'wherry', file: '/etc/group' });
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        for (const socket of upgraded) socket.destroy();
      }),
  };
}

/** A connection that stops being HTTP. What is not asked for as it should be gets an empty refusal. */
async function upgrade(
  view: AgentView,
  { url = '', method, headers }: IncomingMessage,
  socket: Socket,
  head: Buffer,
  onError: (error: unknown) => void,
): Promise<void> {
  const service = execService(url);
  if (service === undefined || method !== 'GET' || headers.upgrade !== UPGRADE) {
    socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n');
    return;
  }
  // Few devices ever see one.
  const { serveExec } = await import('./exec-connection.ts');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${UPGRADE}\r\n\r\n`);
  await serveExec(view, service, socket, head, onError);
}

async function handle(
  view: AgentView,
  request: IncomingMessage,
  response: ServerResponse,
  onError: (error: unknown) => void,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  try {
    const { method = '', url = '' } = request;
    const limit = bodyLimit({ method, url });
    const body = await readBody(request, limit);
    const answer =
      body === undefined
        ? problem('body-too-large', `Cannot take the body: wanted at most ${limit} bytes`)
        : await answerRequest(view, { method, url, body, signal: gone.signal });
    await send(response, answer);
  } catch (error) {
    // The caller left while we wrote or read: an ordinary end of a followed log.
    if (gone.signal.aborted && isPrematureClose(error)) return;
    onError(error);
    if (response.headersSent) response.destroy();
    else await send(response, problem('internal', 'Cannot answer: the agent failed; its log says how'));
  }
}

/** Undefined when the body is larger than the limit; what comes after the limit is never kept. */
async function readBody(request: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes <= limit) parts.push(part);
  }
  return bytes > limit ? undefined : Buffer.concat(parts);
}

async function send(response: ServerResponse, answer: Answer): Promise<void> {
  if (answer.kind === 'lines') {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.flushHeaders();
    await pipeline(ndjson(answer.lines), response);
    return;
  }
  if (answer.kind === 'text') {
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
    await pipeline(answer.pieces, response);
    return;
  }
  const [status, type, body] =
    answer.kind === 'json'
      ? [answer.status, 'application/json', answer.body]
      : [answer.problem.status, 'application/problem+json', answer.problem];
  const allow = answer.kind === 'problem' && answer.allow ? { allow: answer.allow } : {};
  response.writeHead(status, { 'content-type': type, ...allow });
  response.end(`${JSON.stringify(body)}\n`);
}

async function* ndjson(lines: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const line of lines) yield `${JSON.stringify(line)}\n`;
}

const isPrematureClose = (error: unknown): boolean =>
  ['ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'EPIPE', 'ABORT_ERR'].includes(
    String((error as NodeJS.ErrnoException | undefined)?.code),
  );
