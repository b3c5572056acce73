import type { Logger } from 'pino';
import { decodeBitmap } from '../../protocol/chunk-frame.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { checkGet, type Fault, type Get } from '../../protocol/messages.ts';
import { layOut, runsOf } from './chunk-run.ts';
import type { ObjectReader, OpenObject } from './object-reader.ts';
import { PacketPool } from './packet-pool.ts';

/** Requests of one device that may wait their turn; one more is told to come back. */
const MOST_WAITING = 4;
const BUSY_RETRY_MS = 500;
/** Read and written at a time. */
const RUN_BYTES = 256 * 1024;
/** Of its chunks, the smallest there are. */
const HEADS_BYTES = (RUN_BYTES / LIMITS.minChunkBytes) * 256;
/** Runs of one device that the socket may still have to take: what a device that reads nothing costs. */
const MOST_ON_THE_WAY = 2;

/** The way back to a device's bulk session. What sends resolves when the socket took it; false = it is gone. */
export interface ChunkLink {
  /** Resolves when so many bytes may leave to the device. */
  admit(device: string, bytes: number): Promise<void>;
  /** What stands on the line before a message of so many bytes. */
  headOf(device: string, messageBytes: number): Buffer;
  /** Messages, each behind its head: one buffer from the disk to the socket, which is done with it when this resolves. */
  data(device: string, packets: Buffer): Promise<boolean>;
  /** Is what leaves to the device held to a rate? */
  isPaced(device: string): boolean;
  fault(device: string, fault: Fault): Promise<boolean>;
}

/** One bulk session of a device. */
interface Session {
  waiting: Get[];
  isOver: boolean;
}

/** Answers `get`s: the chunks of one request in order, one request of a device after the other. */
export class ChunkServer {
  readonly #reader: ObjectReader;
  readonly #link: ChunkLink;
  readonly #log: Logger;
  readonly #memory = new PacketPool(RUN_BYTES + HEADS_BYTES);
  /** Those that are being answered. */
  readonly #sessions = new Map<string, Session>();

  constructor(reader: ObjectReader, link: ChunkLink, log: Logger) {
    this.#reader = reader;
    this.#link = link;
    this.#log = log;
  }

  /** Takes a request; the answers come over the link. */
  async take(device: string, payload: Buffer): Promise<void> {
    const checked = checkGet(parseJson(payload));
    if (!checked.ok) {
      await this.#fault(device, requestOf(payload), 'malformed', checked.faults.join('; '));
      return;
    }
    const session = this.#sessions.get(device);
    if (!session) {
      const begun: Session = { waiting: [checked.value], isOver: false };
      this.#sessions.set(device, begun);
      void this.#serveAll(device, begun);
    } else if (session.waiting.length >= MOST_WAITING) {
      const what = `${MOST_WAITING} requests wait already`;
      await this.#fault(device, checked.value.request, 'busy', what, BUSY_RETRY_MS);
    } else session.waiting.push(checked.value);
  }

  /** The device's session ended, or a new one takes its place: what was asked in it is answered no further. */
  forget(device: string): void {
    const session = this.#sessions.get(device);
    if (session) session.isOver = true;
    this.#sessions.delete(device);
  }

  async #serveAll(device: string, session: Session): Promise<void> {
    for (let get = session.waiting.shift(); get && !session.isOver; get = session.waiting.shift()) {
      try {
        await this.#serve(device, get, session);
      } catch (error) {
        this.#log.error({ error, device, object: get.object }, 'cannot serve an object');
        await this.#fault(device, get.request, 'busy', 'The server could not read it', BUSY_RETRY_MS);
      }
    }
    if (!session.isOver) this.#sessions.delete(device);
  }

  async #serve(device: string, get: Get, session: Session): Promise<void> {
    const indexes = decodeBitmap(get.first, get.bitmap);
    if (!indexes) return this.#fault(device, get.request, 'malformed', 'bitmap is empty or too wide');
    const object = await this.#reader.open(get.object);
    if (!object)
      return this.#fault(
        device,
        get.request,
        'unknown-object',
        `There is no object ${get.object.slice(0, 80)}`,
      );
    try {
      const outside = indexes.find((index) => index * get.chunkBytes >= object.bytes);
      if (outside !== undefined) {
        const what = `Chunk ${outside} is past the end of ${object.bytes} bytes`;
        return await this.#fault(device, get.request, 'out-of-range', what);
      }
      await this.#send(device, get, object, indexes, session);
    } finally {
      object.release();
    }
  }

  /** Reads on while the socket takes what was read before. */
  async #send(
    device: string,
    get: Get,
    object: OpenObject,
    indexes: number[],
    session: Session,
  ): Promise<void> {
    // What is held back for long looks lost to the device: under a limit each chunk goes as soon as it may.
    const most = this.#link.isPaced(device) ? 1 : Math.max(1, Math.floor(RUN_BYTES / get.chunkBytes));
    const frame = { objectBytes: object.bytes, headOf: (bytes: number) => this.#link.headOf(device, bytes) };
    const onTheWay: Promise<boolean>[] = [];
    try {
      for (const run of runsOf(indexes, most)) {
        await this.#link.admit(device, run.count * get.chunkBytes);
        if (onTheWay.length === MOST_ON_THE_WAY && !(await onTheWay.shift())) return;
        if (session.isOver) return;
        const memory = this.#memory.take();
        const { packets, payloads } = layOut(run, get, frame, memory);
        await object.readInto(payloads, run.first * get.chunkBytes);
        if (session.isOver) return;
        onTheWay.push(this.#link.data(device, packets).finally(() => this.#memory.giveBack(memory)));
      }
    } finally {
      await Promise.all(onTheWay);
    }
  }

  async #fault(
    device: string,
    request: number,
    code: Fault['code'],
    message: string,
    retryAfterMs = 0,
  ): Promise<void> {
    await this.#link.fault(device, { v: 1, request, code, message: message.slice(0, 1024), retryAfterMs });
  }
}

function parseJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** The id of a request that is otherwise malformed, so that the device can tell which one; 0 when it has none. */
function requestOf(payload: Buffer): number {
  const request = (parseJson(payload) as { request?: unknown } | null | undefined)?.request;
  return typeof request === 'number' && Number.isSafeInteger(request) && request >= 0 ? request : 0;
}
