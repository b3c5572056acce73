import { lstatSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import type {
  ChannelsAnswer,
  LeaseAnswer,
  LeasesAnswer,
  NetAnswer,
  PostMortemsAnswer,
  RestartAnswer,
  SecretAnswer,
  SecretsAnswer,
  ServicesAnswer,
  StartAnswer,
  StopAnswer,
  UpdateAnswer,
  UpdateHistoryAnswer,
  UpdateWishAnswer,
  VersionAnswer,
  WhyAnswer,
} from '../local-api/answers.ts';
import type { EnrolAnswer } from '../local-api/enrol-port.ts';
import type { EventQuery, LocalEvent } from '../local-api/event-port.ts';
import type { ExecRequest } from '../local-api/exec-port.ts';
import type { Inspection } from '../local-api/inspection.ts';
import type { PlanAnswer, UpdateCheckAnswer } from '../local-api/plan-port.ts';
import type { AgentStatus, ChannelMessage, LogLine, LogQuery } from '../local-api/ports.ts';
import type { Problem } from '../local-api/problems.ts';
import type { Capsule } from '../supervisor/postmortem/capsule.ts';
import { CliError } from './errors.ts';
import { openProgram, type RunningProgram } from './exec-client.ts';
import { ndjsonLines } from './ndjson.ts';
import { agentIsLost, answerIsForeign, connectionError, problemError } from './refusals.ts';

/** An agent that lives answers from memory: longer than this and it hangs. Milliseconds. */
const ANSWER_TIMEOUT_MS = 10_000;
/** What asks a server or reads a stick takes its time. */
const ASKING_TIMEOUT_MS = 90_000;

/** With a signal of its own when the command's is not the only one. */
type AskedLog = Omit<LogQuery, 'signal'> & Partial<Pick<LogQuery, 'signal'>>;

/** The agent behind its unix socket. Every method throws CliError, or AbortError once the signal is aborted. */
export interface AgentClient {
  readonly socketPath: string;
  version(): Promise<VersionAnswer>;
  status(): Promise<AgentStatus>;
  /** With the use of services as it is now. */
  sampledStatus(): Promise<AgentStatus>;
  services(): Promise<ServicesAnswer>;
  why(service: string): Promise<WhyAnswer>;
  inspect(service: string): Promise<Inspection>;
  postmortems(): Promise<PostMortemsAnswer>;
  postmortem(id: string): Promise<Capsule>;
  stop(service: string, body: { by: string; why?: string; forMs?: number }): Promise<StopAnswer>;
  start(service: string, body: { by: string; why?: string }): Promise<StartAnswer>;
  restart(service: string, body: { by: string; why?: string }): Promise<RestartAnswer>;
  net(): Promise<NetAnswer>;
  /** Oldest first. Ends quietly when the signal is aborted. */
  events(query: Omit<EventQuery, 'signal'>): AsyncGenerator<LocalEvent>;
  update(): Promise<UpdateAnswer>;
  updateHistory(): Promise<UpdateHistoryAnswer>;
  wish(
    wish: UpdateWishAnswer['wish'],
    body: { by: string; forMs?: number; folder?: string },
  ): Promise<UpdateWishAnswer>;
  check(): Promise<UpdateCheckAnswer>;
  /** `folder`: an absolute path on the device; undefined: what the server offers. */
  plan(folder: string | undefined): Promise<PlanAnswer>;
  enrol(body: { join: string; name?: string; by: string }): Promise<EnrolAnswer>;
  leases(): Promise<LeasesAnswer>;
  takeLease(holder: string, body: { why: string; forMs: number }): Promise<LeaseAnswer>;
  releaseLease(holder: string): Promise<LeaseAnswer>;
  channels(): Promise<ChannelsAnswer>;
  /** From now on. Ends quietly when the signal is aborted. */
  messages(channel: string, bytes: number): AsyncGenerator<ChannelMessage>;
  secrets(): Promise<SecretsAnswer>;
  putSecret(name: string, content: Uint8Array, by: string): Promise<SecretAnswer>;
  removeSecret(name: string, by: string): Promise<SecretAnswer>;
  /** Oldest first. Ends quietly when the signal is aborted. */
  logs(service: string, query: AskedLog): AsyncGenerator<LogLine>;
  /** Resolves when the program runs. */
  exec(service: string, opening: ExecRequest & { by: string }): Promise<RunningProgram>;
}

export function agentClient(socketPath: string, signal: AbortSignal): AgentClient {
  const json = <T>(method: string, path: string, body?: unknown) =>
    call(socketPath, signal, method, path, body).then((response) => document<T>(response, socketPath));
  const asking = <T>(path: string, body: unknown) =>
    call(socketPath, signal, 'POST', path, body, ASKING_TIMEOUT_MS).then((response) =>
      document<T>(response, socketPath),
    );
  return {
    socketPath,
    version: () => json('GET', '/v1/version'),
    status: () => json('GET', '/v1/status'),
    sampledStatus: () => json('GET', '/v1/status?sample=1'),
    services: () => json('GET', '/v1/services'),
    why: (service) => json('GET', at(service, 'why')),
    inspect: (service) => json('GET', at(service)),
    postmortems: () => json('GET', '/v1/postmortems'),
    postmortem: (id) => json('GET', `/v1/postmortems/${encodeURIComponent(id)}`),
    stop: (service, body) => json('POST', at(service, 'stop'), body),
    start: (service, body) => json('POST', at(service, 'start'), body),
    restart: (service, body) => json('POST', at(service, 'restart'), body),
    net: () => json('GET', '/v1/net'),
    events: (query) => lines(socketPath, signal, 'events', `/v1/events?${eventQuery(query)}`),
    update: () => json('GET', '/v1/update'),
    updateHistory: () => json('GET', '/v1/update/history'),
    wish: (wish, body) => json('POST', `/v1/update/${wish}`, body),
    check: () => asking('/v1/update/check', {}),
    plan: (folder) => asking('/v1/plan', { folder }),
    enrol: (body) => asking('/v1/enrol', body),
    leases: () => json('GET', '/v1/leases'),
    takeLease: (holder, body) => json('PUT', leasePath(holder), body),
    releaseLease: (holder) => json('DELETE', leasePath(holder)),
    secrets: () => json('GET', '/v1/secrets'),
    putSecret: (name, content, by) => json('PUT', secretPath(name, by), content),
    removeSecret: (name, by) => json('DELETE', secretPath(name, by)),
    channels: () => json('GET', '/v1/channels'),
    messages: (channel, bytes) =>
      lines(
        socketPath,
        signal,
        'messages',
        `/v1/channels/${encodeURIComponent(channel)}/messages?bytes=${bytes}`,
      ),
    logs: (service, query) =>
      lines(
        socketPath,
        query.signal ? AbortSignal.any([signal, query.signal]) : signal,
        'log',
        `${at(service, 'logs')}?${logQuery(query)}`,
      ),
    exec: (service, opening) =>
      openProgram({
        socketPath,
        path: at(service, 'exec'),
        signal,
        opening,
        onRefused: (response) => refusal(response, socketPath),
        onError: (error) => connectionError(socketPath, error, isSocket(socketPath)),
      }),
  };
}

async function* lines<T>(
  socketPath: string,
  signal: AbortSignal,
  what: string,
  path: string,
): AsyncGenerator<T> {
  try {
    const response = await call(socketPath, signal, 'GET', path);
    if (response.statusCode !== 200) throw await refusal(response, socketPath);
    yield* ndjsonLines<T>(response);
  } catch (error) {
    if (signal.aborted) return;
    throw error instanceof CliError ? error : agentIsLost(what, error);
  }
}

const at = (service: string, verb?: string): string =>
  `/v1/services/${encodeURIComponent(service)}${verb ? `/${verb}` : ''}`;

const eventQuery = ({ since = 0, service, limit, follow }: Omit<EventQuery, 'signal'>): string =>
  String(
    new URLSearchParams({
      since: String(since),
      limit: String(limit),
      follow: follow ? '1' : '0',
      ...(service !== undefined && { service }),
    }),
  );
function logQuery({ tail, follow, sinceMs, previous }: AskedLog): string {
  const more = `${sinceMs === undefined ? '' : `&since=${sinceMs}`}${previous ? '&previous=1' : ''}`;
  return `tail=${tail}&follow=${follow ? 1 : 0}${more}`;
}

const leasePath = (holder: string): string => `/v1/leases/${encodeURIComponent(holder)}`;

const secretPath = (name: string, by: string): string =>
  `/v1/secrets/${encodeURIComponent(name)}?by=${encodeURIComponent(by)}`;

/** Resolves with the head of the answer; its body is still to be read. */
function call(
  socketPath: string,
  signal: AbortSignal,
  method: string,
  path: string,
  body?: unknown,
  timeout = ANSWER_TIMEOUT_MS,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, signal, agent: false, timeout });
    outgoing.once('response', (response) => {
      // A followed log may be silent for hours; only the head has to come in time.
      response.socket.setTimeout(0);
      resolve(response);
    });
    outgoing.once('timeout', () => outgoing.destroy(Object.assign(new Error(), { code: 'ETIMEDOUT' })));
    outgoing.once('error', (error: NodeJS.ErrnoException) => {
      reject(signal.aborted ? error : connectionError(socketPath, error, isSocket(socketPath)));
    });
    const isRaw = body === undefined || body instanceof Uint8Array;
    outgoing.end(isRaw ? body : JSON.stringify(body));
  });
}

async function document<T>(response: IncomingMessage, socketPath: string): Promise<T> {
  const status = response.statusCode ?? 0;
  if (status < 200 || status > 299) throw await refusal(response, socketPath);
  return (await parse(response, socketPath)) as T;
}

async function refusal(response: IncomingMessage, socketPath: string): Promise<Error> {
  const isProblem = response.headers['content-type'] === 'application/problem+json';
  return isProblem
    ? problemError((await parse(response, socketPath)) as Problem)
    : answerIsForeign(socketPath, `HTTP ${response.statusCode}`);
}

async function parse(response: IncomingMessage, socketPath: string): Promise<unknown> {
  const body = await text(response);
  try {
    return JSON.parse(body);
  } catch {
    throw answerIsForeign(socketPath, 'an answer that is not JSON');
  }
}

function isSocket(path: string): boolean {
  try {
    return lstatSync(path).isSocket();
  } catch {
    return true;
  }
}
