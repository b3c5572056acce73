import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ProblemError } from '../problems.ts';
import type { ObjectReader, OpenObject } from './object-reader.ts';
import { PacketPool } from './packet-pool.ts';

export interface ObjectRouteOptions {
  reader: ObjectReader;
  /** Who reads. Throws ProblemError for who may not. */
  admit(request: FastifyRequest): Promise<string>;
  /** Resolves when so many bytes may leave to them. */
  egress(reader: string, bytes: number): Promise<void>;
}

/** Read from the file at a time. */
const PART_BYTES = 256 * 1024;
/** Parts of one answer that the socket may still have to take. */
const MOST_ON_THE_WAY = 2;

interface Range {
  from: number;
  /** Exclusive. */
  to: number;
}

/** GET /objects/<name>, whole or one range: the same objects that chunks are cut from. */
export function objectRoutes(app: FastifyInstance, { reader, admit, egress }: ObjectRouteOptions): void {
  const memory = new PacketPool(PART_BYTES);
  // HEAD would open the object for nothing.
  app.get<{ Params: { name: string } }>(
    '/objects/:name',
    { exposeHeadRoute: false },
    async (request, reply) => {
      const who = await admit(request);
      const { name } = request.params;
      const object = await reader.open(name);
      if (!object) throw new ProblemError('object.unknown', `There is no object ${name.slice(0, 80)}`);
      const range = rangeOf(request.headers.range, object.bytes);
      if (range === undefined) {
        object.release();
        void reply.header('content-range', `bytes */${object.bytes}`);
        throw new ProblemError(
          'object.range',
          `Cannot give that range of ${name.slice(0, 80)}: it has ${object.bytes} bytes`,
        );
      }
      const { from, to } = range;
      const isPart = request.headers.range !== undefined;
      // Names are digests, or versions that never change; only these are written anew.
      const isFixed = name !== 'timestamp' && !name.startsWith('offer-');
      void reply
        .code(isPart ? 206 : 200)
        .header('content-type', 'application/octet-stream')
        .header('content-length', to - from)
        .header('accept-ranges', 'bytes')
        .header('cache-control', isFixed ? 'private, max-age=31536000, immutable' : 'no-store');
      if (isPart) void reply.header('content-range', `bytes ${from}-${to - 1}/${object.bytes}`);
      // Past the framework's streams: only the socket tells when the memory of a part is free again.
      reply.hijack();
      reply.raw.writeHead(reply.statusCode, reply.getHeaders() as OutgoingHttpHeaders);
      try {
        await sendParts(reply.raw, object, range, { memory, admit: (bytes) => egress(who, bytes) });
      } catch (error) {
        request.log.error({ error, name }, 'cannot serve an object');
        reply.raw.destroy();
      } finally {
        object.release();
      }
      return reply;
    },
  );
}

/** Reads on while the socket takes what was read before. */
async function sendParts(
  to: ServerResponse,
  object: OpenObject,
  { from, to: end }: Range,
  { memory, admit }: { memory: PacketPool; admit(bytes: number): Promise<void> },
): Promise<void> {
  const onTheWay: Promise<void>[] = [];
  try {
    for (let at = from; at < end; at += PART_BYTES) {
      const length = Math.min(PART_BYTES, end - at);
      await admit(length);
      if (onTheWay.length === MOST_ON_THE_WAY) await onTheWay.shift();
      if (to.destroyed) return;
      const part = memory.take();
      await object.readInto([part.subarray(0, length)], at);
      onTheWay.push(written(to, part.subarray(0, length)).finally(() => memory.giveBack(part)));
    }
    to.end();
  } finally {
    await Promise.all(onTheWay);
  }
}

/** Resolves when the socket is done with the memory, or gone. */
const written = (to: ServerResponse, part: Buffer): Promise<void> =>
  new Promise((resolve) => {
    const end = (): void => {
      to.off('close', end);
      resolve();
    };
    to.on('close', end);
    to.write(part, end);
  });

/** The whole object when nothing is asked for; undefined for a range that it does not have, or more than one. */
function rangeOf(header: string | undefined, bytes: number): Range | undefined {
  if (header === undefined) return { from: 0, to: bytes };
  const match = /^bytes=(\d{1,15})-(\d{1,15})?$/.exec(header);
  if (!match) return undefined;
  const from = Number(match[1]);
  const to = match[2] === undefined ? bytes : Math.min(bytes, Number(match[2]) + 1);
  return from < to ? { from, to } : undefined;
}
