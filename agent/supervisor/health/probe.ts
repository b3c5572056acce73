import { request } from 'node:http';
import { connect } from 'node:net';
import type { Executed, HealthProbe } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';

export interface ProbeOptions {
  exec(service: string, args: readonly string[], signal: AbortSignal): Promise<Executed>;
  /** A service's address on the first of its segments; undefined while it has none. */
  addressOf(service: string): string | undefined;
}

type Check = NonNullable<ServiceSpec['health']>['check'];

/** A check that got this much of a body has its answer; the rest of an endless one is not waited for. Bytes. */
const BODY_MAX_BYTES = 64 * 1024;
const DETAIL_MAX_CHARS = 160;

/** Looks from the agent, or, for `exec`, from within the container. */
export class ServiceProbe implements HealthProbe {
  readonly #options: ProbeOptions;

  constructor(options: ProbeOptions) {
    this.#options = options;
  }

  async probe(spec: ServiceSpec, signal: AbortSignal): Promise<string | undefined> {
    const { health } = spec;
    if (health === undefined) return undefined;
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(health.timeoutMs)]);
    try {
      const fault = await cutAt(inTime, this.#look(spec, health.check, inTime));
      return fault === undefined ? undefined : short(fault);
    } catch (error) {
      if (inTime.aborted) return `no answer within ${health.timeoutMs} ms`;
      return short(error instanceof Error ? error.message : String(error));
    }
  }

  async #look(spec: ServiceSpec, check: Check, signal: AbortSignal): Promise<string | undefined> {
    if (check.kind === 'exec') {
      const { exitCode, output } = await this.#options.exec(spec.name, check.args, signal);
      return exitCode === 0 ? undefined : `exit code ${exitCode}${output.trim() && `: ${output.trim()}`}`;
    }
    if (spec.network === 'none') return `it has no network, so ${check.kind} cannot reach it`;
    const host = spec.network === 'host' ? '127.0.0.1' : this.#options.addressOf(spec.name);
    if (host === undefined) return 'it has no address yet';
    return check.kind === 'http'
      ? httpFault(host, check.port, check.path, signal)
      : tcpFault(host, check.port, signal);
  }
}

/** Resolves with undefined for 2xx and 3xx, redirects not followed, once the body has come or is past its bound. */
function httpFault(
  host: string,
  port: number,
  path: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { host: 'localhost', 'user-agent': 'wherry-health', accept: '*/*' };
    const asked = request({ host, port, path, headers, signal, agent: false }, (response) => {
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 399) {
        resolve(`HTTP ${status}`);
        asked.destroy();
        return;
      }
      let bytes = 0;
      response.on('data', (piece: Buffer) => {
        bytes += piece.length;
        if (bytes < BODY_MAX_BYTES) return;
        resolve(undefined);
        asked.destroy();
      });
      response.once('end', () => resolve(undefined));
      response.once('error', reject);
    });
    asked.once('error', reject);
    asked.once('close', () => reject(new Error('the connection was closed without an answer')));
    asked.end();
  });
}

function tcpFault(host: string, port: number, signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.destroy();
      resolve(undefined);
    });
  });
}

/** Rejects when the signal fires, also when the work does not heed it. */
function cutAt<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cut = () => reject(new Error('cut'));
    if (signal.aborted) cut();
    signal.addEventListener('abort', cut, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', cut));
  });
}

/** One line: it goes into reasons, reports and tables. */
function short(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= DETAIL_MAX_CHARS ? line : `${line.slice(0, DETAIL_MAX_CHARS - 1)}…`;
}
