import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { FolderSource } from '../../agent/update/sources/folder-source.ts';
import { HttpSource } from '../../agent/update/sources/http-source.ts';
import { LIMITS } from '../../protocol/limits.ts';

const NAME = `blob-${'a'.repeat(64)}`;
const CHUNK = LIMITS.chunkBytes;
const { signal } = new AbortController();
const range = (from: number, size: number) => ({ 'content-range': `bytes ${from}-${size - 1}/${size}` });

describe('a folder that anybody may have written', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wherry-stick-'));
  const source = new FolderSource(folder);
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('no link is followed, no pipe waited for, no folder read', async () => {
    const path = join(folder, NAME);
    for (const make of [
      () => symlinkSync('/etc/hostname', path),
      () => execFileSync('mkfifo', [path]),
      () => mkdirSync(path),
    ]) {
      make();
      await expect(source.read(NAME, 1000, signal)).rejects.toMatchObject({ name: 'SourceError' });
      await expect(source.fetch(NAME, [0], async () => {}, signal)).rejects.toMatchObject({
        name: 'SourceError',
      });
      rmSync(path, { recursive: true });
    }
  });

  test('a name that is no object is not looked up', async () => {
    writeFileSync(join(folder, 'secret'), 'x');
    for (const name of ['../etc/hostname', 'secret', `${NAME}/..`, ''])
      await expect(source.read(name, 1000, signal)).rejects.toMatchObject({ code: 'unknown-object' });
  });
});

describe('an HTTP source that', () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  async function answering(listener: RequestListener, silenceMs = 2_000): Promise<HttpSource> {
    server = createServer(listener);
    await new Promise<void>((resolve) => {
      server?.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as AddressInfo;
    return new HttpSource({ base: `http://127.0.0.1:${port}`, silenceMs });
  }
  const taken: number[] = [];
  const fetchOne = (source: HttpSource) => {
    taken.length = 0;
    return source.fetch(NAME, [2, 3], async (index) => void taken.push(index), signal);
  };

  test.each<[string, RequestListener, string]>([
    [
      'gives the whole object instead of the range',
      (_, reply) => reply.end(randomBytes(4 * CHUNK)),
      'rejected',
    ],
    [
      'gives another range',
      (_, reply) => reply.writeHead(206, range(0, 4 * CHUNK)).end(randomBytes(CHUNK)),
      'rejected',
    ],
    [
      'tells no size',
      (_, reply) => reply.writeHead(206, { 'content-range': 'bytes 131072-262143/*' }).end(),
      'rejected',
    ],
    [
      'ends early',
      (_, reply) => reply.writeHead(206, range(2 * CHUNK, 4 * CHUNK)).end(randomBytes(CHUNK + 1)),
      'unreachable',
    ],
    ['hangs up', (request) => request.socket.destroy(), 'unreachable'],
    [
      'sends the client elsewhere',
      (_, reply) => reply.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
      'rejected',
    ],
    ['is not well', (_, reply) => reply.writeHead(503).end(), 'unreachable'],
    ['has too much to do', (_, reply) => reply.writeHead(429).end(), 'unreachable'],
    ['does not have it', (_, reply) => reply.writeHead(404).end(), 'unknown-object'],
  ])('%s', async (_name, listener, code) => {
    await expect(fetchOne(await answering(listener))).rejects.toMatchObject({ code });
  });

  test('says nothing for too long is given up', async () => {
    const source = await answering(
      (_, reply) => void reply.writeHead(206, range(2 * CHUNK, 4 * CHUNK)).write('x'),
      100,
    );
    await expect(fetchOne(source)).rejects.toMatchObject({ code: 'unreachable' });
  });

  test('sends more than was asked for is not listened to', async () => {
    const source = await answering((_, reply) =>
      reply.writeHead(206, range(2 * CHUNK, 4 * CHUNK)).end(randomBytes(20 * CHUNK)),
    );
    await fetchOne(source);
    expect(taken).toEqual([2, 3]);
  });

  test('never stops sending a small object is cut off', async () => {
    const source = await answering((_, reply) => {
      const more = () => {
        while (reply.write(randomBytes(CHUNK)) && !reply.destroyed);
        if (!reply.destroyed) reply.once('drain', more);
      };
      more();
    });
    await expect(source.read('timestamp', LIMITS.timestampBytes, signal)).rejects.toMatchObject({
      code: 'too-large',
    });
  });

  test('what its taker cannot keep is not blamed on the source', async () => {
    const source = await answering((_, reply) =>
      reply.writeHead(206, range(2 * CHUNK, 4 * CHUNK)).end(randomBytes(2 * CHUNK)),
    );
    const full = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    await expect(source.fetch(NAME, [2, 3], () => Promise.reject(full), signal)).rejects.toBe(full);
  });

  test('is slow goes no faster than its taker, and is left when the download is called off', async () => {
    const calledOff = new AbortController();
    const source = await answering(
      (_, reply) => void reply.writeHead(206, range(2 * CHUNK, 4 * CHUNK)).write(randomBytes(CHUNK)),
    );
    const fetching = source.fetch(NAME, [2, 3], async () => calledOff.abort(), calledOff.signal);
    await expect(fetching).rejects.toMatchObject({ code: 'aborted' });
  });
});
