import { ProblemError, toProblem } from './problem.ts';
import type { RemoteEvent } from './types.ts';

interface Ask {
  method: 'GET' | 'POST';
  path: string;
  body?: unknown;
  /** Aborted, the device ends what it does. */
  signal: AbortSignal;
}

async function open({ method, path, body, signal }: Ask): Promise<Response> {
  const response = await fetch(`/api/v1${path}`, {
    method,
    signal,
    credentials: 'same-origin',
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch((cause: unknown) => {
    throw signal.aborted ? cause : lost(cause);
  });
  if (!response.ok) throw toProblem(response.status, await response.json().catch(() => undefined));
  return response;
}

const lost = (cause: unknown) =>
  new ProblemError(
    {
      status: 0,
      code: 'network',
      title: 'The connection was lost',
      detail: 'Cannot go on: the server does not answer; check that it runs and that this machine is online',
    },
    { cause },
  );

async function* chunks(response: Response, signal: AbortSignal): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = response.body?.getReader();
  if (!reader) return;
  for (;;) {
    const { done, value } = await reader.read().catch((cause: unknown) => {
      throw signal.aborted ? cause : lost(cause);
    });
    if (done) return;
    yield value;
  }
}

/** What a device says line by line, until it ends or is left. Throws ProblemError when it is not begun, or cut off. */
export async function* remoteEvents(ask: Ask): AsyncGenerator<RemoteEvent> {
  const response = await open(ask);
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks(response, ask.signal)) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) if (part !== '') yield JSON.parse(part) as RemoteEvent;
  }
}

/** A file as it comes. Throws when it does not come whole. */
export async function remoteFile(
  ask: Ask,
  onBytes: (bytes: number) => void,
): Promise<{ name: string; content: Blob }> {
  const response = await open(ask);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  for await (const chunk of chunks(response, ask.signal)) {
    parts.push(chunk);
    bytes += chunk.length;
    onBytes(bytes);
  }
  const disposition = response.headers.get('content-disposition') ?? '';
  const name = /filename="([^"]+)"/.exec(disposition)?.[1] ?? 'support-bundle';
  return { name, content: new Blob(parts, { type: 'application/octet-stream' }) };
}
