import { openAsBlob } from 'node:fs';
import { messageOf, ReleaseError } from './errors.ts';
import type { OnlineKeys } from './keys.ts';

/** The parts of the fleet server's REST API that a signer's machine speaks to. */
export interface ReleaseServer {
  onlineKeys(): Promise<OnlineKeys>;
  hasObject(name: string): Promise<boolean>;
  /** Stores an object durably; the server checks it against its name. */
  putObject(name: string, file: string): Promise<void>;
  /** Streams an object, from `at` on. */
  getObject(name: string, at: number): Promise<ReadableStream<Uint8Array>>;
  /** The release's id and the sha256 of its manifest. */
  findRelease(name: string, version: string): Promise<{ id: string; manifestSha256: string }>;
  /** Signed metadata by object name, for devices without a network. */
  bundleMetadata(id: string, days: number): Promise<{ files: Record<string, string>; expiresAt: number }>;
  /** Gives the release's id; publishing the same release again gives the same id. */
  publish(body: {
    manifestSha256: string;
    roots: string[];
    targets: string;
    delegated?: Record<string, string>;
  }): Promise<{ id: string }>;
}

interface ReleasePage {
  items: { id: string; name: string; version: string; manifestSha256: string }[];
  next: string | null;
}

/** The REST API by fetch. `token` is an API token; the server decides what it may do. */
export class FetchReleaseServer implements ReleaseServer {
  readonly #base: string;
  readonly #token: string | undefined;
  constructor(server: string, token: string | undefined) {
    if (!URL.canParse(server))
      throw new ReleaseError(
        'server',
        `Cannot use server "${server}": it is not a URL; wanted http(s)://host[:port]`,
      );
    this.#base = server.replace(/\/+$/, '');
    this.#token = token;
  }

  async onlineKeys(): Promise<OnlineKeys> {
    const response = await this.#request('GET', '/api/v1/repository');
    return ((await response.json()) as { onlineKeys: OnlineKeys }).onlineKeys;
  }

  async hasObject(name: string): Promise<boolean> {
    const response = await this.#request('HEAD', `/api/v1/objects/${name}`, {}, [404]);
    return response.ok;
  }

  async putObject(name: string, file: string): Promise<void> {
    // A file's Blob streams, and fetch knows its length beforehand.
    const body = await openAsBlob(file, { type: 'application/octet-stream' });
    await this.#request('PUT', `/api/v1/objects/${name}`, { body });
  }

  async getObject(name: string, at: number): Promise<ReadableStream<Uint8Array>> {
    const headers = at > 0 ? { range: `bytes=${at}-` } : {};
    const { body } = await this.#request('GET', `/api/v1/objects/${name}`, { headers });
    if (!body) throw new ReleaseError('server', `Cannot read ${name}: the answer has no content`);
    return body;
  }

  async findRelease(name: string, version: string): Promise<{ id: string; manifestSha256: string }> {
    let cursor: string | null = null;
    do {
      const query: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const response = await this.#request('GET', `/api/v1/releases?limit=100${query}`);
      const page = (await response.json()) as ReleasePage;
      const found = page.items.find((release) => release.name === name && release.version === version);
      if (found) return found;
      cursor = page.next;
    } while (cursor !== null);
    throw new ReleaseError('usage', `Cannot find release ${name} ${version}: the server does not have it`);
  }

  async bundleMetadata(
    id: string,
    days: number,
  ): Promise<{ files: Record<string, string>; expiresAt: number }> {
    const response = await this.#request('POST', `/api/v1/releases/${id}/bundles`, {
      body: JSON.stringify({ days }),
      headers: { 'content-type': 'application/json' },
    });
    return (await response.json()) as { files: Record<string, string>; expiresAt: number };
  }

  async publish(body: object): Promise<{ id: string }> {
    const response = await this.#request('POST', '/api/v1/releases', {
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    });
    return (await response.json()) as { id: string };
  }

  async #request(
    method: string,
    path: string,
    init: RequestInit = {},
    expected: number[] = [],
  ): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#token !== undefined) headers.set('authorization', `Bearer ${this.#token}`);
    const response = await fetch(this.#base + path, { ...init, method, headers }).catch((cause: unknown) => {
      throw new ReleaseError('server', `Cannot reach the server ${this.#base}: ${rootCause(cause)}`, {
        cause,
      });
    });
    if (response.ok || expected.includes(response.status)) return response;
    throw await problemOf(response, method, path);
  }
}

/** RFC 9457 problem details, with the server's own code. 403, 409, 413 and 422 are its judgement of the release. */
async function problemOf(response: Response, method: string, path: string): Promise<ReleaseError> {
  const text = await response.text();
  const isProblem = response.headers.get('content-type')?.startsWith('application/problem+json');
  const problem = (isProblem ? JSON.parse(text) : {}) as { code?: string; detail?: string; title?: string };
  const what = problem.detail ?? problem.title ?? response.statusText;
  const code = [403, 409, 413, 422].includes(response.status) ? 'server-refused' : 'server';
  return new ReleaseError(
    code,
    `Cannot ${method} ${path}: ${what} (${problem.code ?? `HTTP ${response.status}`})`,
  );
}

/** fetch hides the system error in its cause. */
const rootCause = (error: unknown): string =>
  error instanceof Error && error.cause ? messageOf(error.cause) || String(error.cause) : messageOf(error);
