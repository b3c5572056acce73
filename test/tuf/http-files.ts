import { SourceError } from '../../agent/update/sources/source-error.ts';
import type { MetadataFile, MetadataSource } from '../../agent/update/tuf/ports.ts';
import { quoteRole } from './role-names.ts';

const NOT_THERE = new Set([403, 404]);

/** A file by HTTP, of at most `maxBytes`: reading stops there, whatever the server says of its length. */
export async function readHttp(url: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
  const unreachable = (cause: unknown) =>
    new SourceError('unreachable', `Cannot fetch ${url}: ${String(cause)}`, { cause });
  const response = await fetch(url, { signal, redirect: 'error' }).catch((cause: unknown) => {
    throw unreachable(cause);
  });
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    const what = `Cannot fetch ${url}: HTTP ${response.status}`;
    throw new SourceError(NOT_THERE.has(response.status) ? 'unknown-object' : 'unreachable', what);
  }
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of response.body) {
      bytes += part.length;
      if (bytes > maxBytes)
        throw new SourceError('too-large', `Cannot fetch ${url}: more than ${maxBytes} bytes`);
      parts.push(part);
    }
  } catch (error) {
    throw error instanceof SourceError ? error : unreachable(error);
  }
  return Buffer.concat(parts);
}

/** TUF metadata below a URL: `<version>.<role>.json`, or `<role>.json`. */
export class HttpMetadata implements MetadataSource {
  readonly #base: string;
  constructor(base: string) {
    this.#base = base.replace(/\/*$/, '/');
  }

  async read({ role, version }: MetadataFile, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    const name = `${version === undefined ? '' : `${version}.`}${quoteRole(role)}.json`;
    return readHttp(this.#base + name, maxBytes, signal);
  }
}
