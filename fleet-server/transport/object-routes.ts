import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ProblemError } from '../problems.ts';
import type { ObjectReader, OpenObject } from './object-reader.ts';

export interface ObjectRouteOptions {
  reader: ObjectReader;
  /** Who reads. Throws ProblemError for who may not. */
  admit(request: FastifyRequest): Promise<string>;
  /** Resolves when so many bytes may leave to them. */
  egress(reader: string, bytes: number): Promise<void>;
}

/** Read from the file at a time. */
const PART_BYTES = 256 * 1024;

interface Range {
  from: number;
  /** Exclusive. */
  to: number;
}

/** GET /objects/<name>, whole or one range: the same objects that chunks are cut from. */
export function objectRoutes(app: FastifyInstance, { reader, admit, egress }: ObjectRouteOptions): void {
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
      return reply.send(
        Readable.from(
          partsOf(object, range, (bytes) => egress(who, bytes)),
          { objectMode: false, highWaterMark: PART_BYTES },
        ),
      );
    },
  );
}

async function* partsOf(
  object: OpenObject,
  { from, to }: Range,
  egress: (bytes: number) => Promise<void>,
): AsyncGenerator<Buffer> {
  try {
    for (let at = from; at < to; at += PART_BYTES) {
      const length = Math.min(PART_BYTES, to - at);
      await egress(length);
      yield await object.read(at, length);
    }
  } finally {
    object.release();
  }
}

/** The whole object when nothing is asked for; undefined for a range that it does not have, or more than one. */
function rangeOf(header: string | undefined, bytes: number): Range | undefined {
  if (header === undefined) return { from: 0, to: bytes };
  const match = /^bytes=(\d{1,15})-(\d{1,15})?$/.exec(header);
  if (!match) return undefined;
  const from = Number(match[1]);
  const to = match[2] === undefined ? bytes : Math.min(bytes, Number(match[2]) + 1);
  return from < to ? { from, to } : undefined;
}
