import type { ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { RemoteEvent } from '../../../rest/api.ts';
import { digest } from './ids.ts';

const LINES = [
  'GET /level 200 1.2 ms',
  'gauge 3 reads 2.417 m',
  'GET /health 200 0.3 ms',
  'the modem took 4.1 s to answer; trying the other SIM with the next sample if it happens again within the hour',
] as const;
const SCREEN = [
  '/ $ ls -l /\r\n',
  'total 52\r\n',
  'drwxr-xr-x    2 root     root          4096 Nov 21 10:00 \x1b[1;34mbin\x1b[m\r\n',
  'drwxr-xr-x    5 root     root           340 Nov 22 02:24 \x1b[1;34mdev\x1b[m\r\n',
  'drwxr-xr-x    3 root     root          4096 Nov 21 10:00 \x1b[1;34metc\x1b[m\r\n',
  '/ $ ',
] as const;

/** Answers what comes as a stream; false when this address is none. */
export function streamRemote(path: string, response: ServerResponse): boolean {
  if (/^\/devices\/[^/]+\/services\/[^/]+\/logs$/.test(path)) void events(response, someLog());
  else if (/^\/devices\/[^/]+\/services\/[^/]+\/exec$/.test(path)) void events(response, someProgram());
  else if (/^\/devices\/[^/]+\/support-bundle$/.test(path)) void bundle(response);
  else return false;
  return true;
}

async function events(response: ServerResponse, source: AsyncIterable<RemoteEvent>): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  const begun = { session: digest('session').slice(0, 32), endsAt: Date.now() + 30 * 60_000 };
  response.write(`${JSON.stringify({ begun } satisfies RemoteEvent)}\n`);
  for await (const event of source) {
    if (response.destroyed) return;
    response.write(`${JSON.stringify(event)}\n`);
  }
}

const line = (index: number, at: number) => ({
  at,
  stream: index % 4 === 3 ? ('stderr' as const) : ('stdout' as const),
  text: LINES[index % LINES.length] ?? '',
});

async function* someLog(): AsyncGenerator<RemoteEvent> {
  const start = Date.now() - 40_000;
  yield { lines: Array.from({ length: 40 }, (_, index) => line(index, start + index * 1_000)) };
  for (let index = 40; ; index++) {
    await pause(1_000);
    yield { lines: [line(index, Date.now())] };
  }
}

async function* someProgram(): AsyncGenerator<RemoteEvent> {
  for (const text of SCREEN) {
    yield { data: Buffer.from(text).toString('base64'), stream: 'stdout' };
    await pause(20);
  }
  await pause(30 * 60_000, undefined, { ref: false });
}

async function bundle(response: ServerResponse): Promise<void> {
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-disposition': 'attachment; filename="support-gauge-01.txt"',
  });
  for (let piece = 0; piece < 40 && !response.destroyed; piece++) {
    response.write(Buffer.alloc(48 * 1024, piece));
    await pause(250);
  }
  response.end();
}
