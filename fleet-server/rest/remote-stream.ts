import { once } from 'node:events';
import type { FastifyReply } from 'fastify';
import type { Answer } from '../../protocol/remote.ts';
import { ProblemError } from '../problems.ts';
import type { RemoteCall } from '../remote/remote-call.ts';
import type { RemoteEvent } from './api.ts';

/** A line without anything, so that a browser that has gone is noticed and no proxy cuts a silent log. */
const HEARTBEAT_MS = 15_000;

/** Lines of JSON until the call ends. What the other end does not take is not asked of the device. */
export async function sendEvents(reply: FastifyReply, call: RemoteCall): Promise<void> {
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    'content-type': 'application/x-ndjson',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-accel-buffering': 'no',
  });
  const heartbeat = setInterval(() => raw.write('\n'), HEARTBEAT_MS);
  const write = (event: RemoteEvent): boolean => raw.write(`${JSON.stringify(event)}\n`);
  try {
    write({ begun: { session: call.id, endsAt: call.endsAt } });
    for (let answer = await call.next(); answer; answer = await call.next()) {
      const event = eventOf(answer);
      if (event && !write(event)) await roomOrGone(raw);
    }
    write({ end: call.end ?? { code: 'lost', message: '' } });
  } finally {
    clearInterval(heartbeat);
    raw.end();
  }
}

function eventOf({ lines, data, stream = 'stdout' }: Answer): RemoteEvent | undefined {
  if (lines) return { lines };
  return data === undefined ? undefined : { data, stream };
}

/** The bundle as a file. One that does not come whole is cut off, so that nobody takes it for one that did. */
export async function sendBundle(
  reply: FastifyReply,
  call: RemoteCall,
  device: string,
  now: number,
): Promise<void> {
  let piece = await call.next();
  if (piece?.data === undefined) {
    const { code, message } = call.end ?? { code: 'lost', message: '' };
    const problem = code === 'unsupported' ? 'remote.unsupported' : 'remote.failed';
    throw new ProblemError(problem, `Cannot get a support bundle of device "${device}": ${message || code}`);
  }
  reply.hijack();
  const { raw } = reply;
  const stamp = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '');
  raw.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-disposition': `attachment; filename="support-${device}-${stamp}.txt"`,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  for (; piece; piece = await call.next()) {
    if (piece.data !== undefined && !raw.write(Buffer.from(piece.data, 'base64'))) await roomOrGone(raw);
  }
  if (call.end?.code === 'done') raw.end();
  else raw.destroy();
}

/** Resolves also when the other end has gone: the call has ended then. */
async function roomOrGone(raw: FastifyReply['raw']): Promise<void> {
  if (raw.destroyed) return;
  const waiting = new AbortController();
  const { signal } = waiting;
  await Promise.race([once(raw, 'drain', { signal }), once(raw, 'close', { signal })]).catch(() => {});
  waiting.abort();
}
