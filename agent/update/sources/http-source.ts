import { Agent as HttpAgent, get as httpGet, type IncomingMessage, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, get as httpsGet } from 'node:https';
import { getCACertificates } from 'node:tls';
import { LIMITS } from '../../../protocol/limits.ts';
import type { ChunkSource } from '../ports.ts';
import { ChunkCutter } from './chunk-cutter.ts';
import { aborted, SourceError } from './source-error.ts';

export interface HttpSourceOptions {
  /** Objects are at `<base>/<object>`; ends without a slash. */
  base: string;
  /** PEM: what to trust and what to show. Absent for a mirror with a public certificate, or none. */
  tls?: { ca: string; key: string; cert: string };
  /** Silence after which a request is given up, in ms. */
  silenceMs?: number;
}

/** Chunks that one request asks for: so much is asked for again when the line breaks at once. */
const RUN_CHUNKS = 128;

/** Node's own and NODE_EXTRA_CA_CERTS. Only who has a public mirror pays for them: bin/wherry-agent keeps them unread. */
const publicRoots = () => ({ ca: [...getCACertificates('bundled'), ...getCACertificates('extra')] });

interface Run {
  first: number;
  count: number;
}

/** Range requests over HTTP or HTTPS: the fleet server, a static mirror, a content network. */
export class HttpSource implements ChunkSource {
  readonly #base: string;
  readonly #silenceMs: number;
  readonly #request: RequestOptions;
  readonly #get: typeof httpGet;

  constructor({ base, tls, silenceMs = 15_000 }: HttpSourceOptions) {
    this.#base = base;
    this.#silenceMs = silenceMs;
    const isTls = base.startsWith('https:');
    this.#get = isTls ? httpsGet : httpGet;
    const agent = isTls
      ? new HttpsAgent({ keepAlive: true, ...(tls ?? publicRoots()) })
      : new HttpAgent({ keepAlive: true });
    this.#request = { agent };
  }

  async read(object: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    const parts: Buffer[] = [];
    let bytes = 0;
    const answer = await this.#ask(object, {}, signal);
    if (answer.statusCode !== 200) throw refused(object, answer);
    await this.#drain(object, answer, signal, async (part) => {
      bytes += part.length;
      if (bytes > maxBytes)
        throw new SourceError(
          'too-large',
          `Cannot read ${object}: it has more than the ${maxBytes} bytes that are taken`,
        );
      parts.push(part);
    });
    return Buffer.concat(parts);
  }

  async fetch(
    object: string,
    chunks: readonly number[],
    onChunk: (index: number, payload: Buffer) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    for (const { first, count } of runsOf(chunks)) {
      const from = first * LIMITS.chunkBytes;
      const range = `bytes=${from}-${from + count * LIMITS.chunkBytes - 1}`;
      const answer = await this.#ask(object, { range }, signal);
      const size = answer.statusCode === 206 ? sizeIn(answer, from) : undefined;
      if (size === undefined) throw refused(object, answer);
      const wanted = Math.min(count * LIMITS.chunkBytes, size - from);
      const cutter = new ChunkCutter(first, wanted, onChunk);
      await this.#drain(object, answer, signal, (part) => cutter.take(part));
      if (!cutter.isDone)
        throw new SourceError('unreachable', `Cannot fetch ${object}: the answer ended early`);
    }
  }

  #ask(object: string, headers: Record<string, string>, signal: AbortSignal): Promise<IncomingMessage> {
    if (signal.aborted) return Promise.reject(aborted(object));
    return new Promise((resolve, reject) => {
      const fail = (cause: Error): void =>
        reject(
          signal.aborted
            ? aborted(object)
            : new SourceError('unreachable', `Cannot fetch ${object}: ${cause.message}`, { cause }),
        );
      // What comes is content-addressed: an encoding on the way would only cost.
      const asked = { ...headers, 'accept-encoding': 'identity' };
      const request = this.#get(
        `${this.#base}/${object}`,
        { ...this.#request, signal, headers: asked },
        resolve,
      );
      const silence = setTimeout(() => request.destroy(this.#silent()), this.#silenceMs);
      request.on('response', () => clearTimeout(silence));
      request.on('close', () => clearTimeout(silence));
      request.on('error', fail);
    });
  }

  async #drain(
    object: string,
    answer: IncomingMessage,
    signal: AbortSignal,
    take: (part: Buffer) => Promise<void>,
  ): Promise<void> {
    let takersFault: unknown;
    let isTaking = false;
    const taken = async (part: Buffer): Promise<void> => {
      isTaking = true;
      await take(part).catch((error: unknown) => {
        takersFault = error;
        throw error;
      });
      isTaking = false;
      silence.refresh();
    };
    const silence = setTimeout(() => {
      // A slow disk is no silence of the source.
      if (isTaking) silence.refresh();
      else answer.destroy(this.#silent());
    }, this.#silenceMs);
    try {
      // Reading goes no faster than what is read is taken: that is the back-pressure.
      for await (const part of answer) await taken(part as Buffer);
    } catch (error) {
      answer.destroy();
      if (takersFault !== undefined) throw takersFault;
      if (signal.aborted) throw aborted(object);
      const what = error instanceof Error ? error.message : String(error);
      throw new SourceError('unreachable', `Cannot fetch ${object}: ${what}`, { cause: error });
    } finally {
      clearTimeout(silence);
    }
  }

  #silent(): Error {
    return new Error(`silent for ${this.#silenceMs} ms`);
  }
}

/** Runs of neighbours, so that few requests ask for much. */
function runsOf(chunks: readonly number[]): Run[] {
  const runs: Run[] = [];
  for (const chunk of chunks) {
    const last = runs.at(-1);
    if (last && chunk === last.first + last.count && last.count < RUN_CHUNKS) last.count++;
    else runs.push({ first: chunk, count: 1 });
  }
  return runs;
}

/** Size of the whole object as `Content-Range` says; undefined when the answer is for another range. */
function sizeIn({ headers }: IncomingMessage, from: number): number | undefined {
  const match = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers['content-range'] ?? '');
  if (!match || Number(match[1]) !== from) return undefined;
  const size = Number(match[2]);
  return Number.isSafeInteger(size) && size > from ? size : undefined;
}

function refused(object: string, answer: IncomingMessage): SourceError {
  answer.destroy();
  const status = answer.statusCode ?? 0;
  if (status === 404)
    return new SourceError('unknown-object', `Cannot fetch ${object}: the source has it not`);
  const isLater = status === 429 || status >= 500;
  return new SourceError(
    isLater ? 'unreachable' : 'rejected',
    `Cannot fetch ${object}: the source answered ${status}${status === 200 ? ' without the range' : ''}`,
  );
}
