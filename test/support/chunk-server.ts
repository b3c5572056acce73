import { createServer } from 'node:net';
import { Aedes } from 'aedes';
import { decodeBitmap, encodeChunk } from '../../protocol/chunk-frame.ts';
import { checkGet, type Fault, type Get } from '../../protocol/messages.ts';
import { downTopic, parseUpTopic } from '../../protocol/topics.ts';

/** What may be wrong with one chunk on its way: the frames to send instead, or a delay. */
export type ChunkFaults = (object: string, index: number, frame: Buffer) => Buffer[];

export interface TestBroker {
  port: number;
  broker: Aedes;
  close(): Promise<void>;
}

/** A real broker on loopback, plain TCP. */
export async function startTestBroker(): Promise<TestBroker> {
  const broker = await Aedes.createBroker();
  const server = createServer({ noDelay: true }, broker.handle);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const close = async () => {
    await new Promise<void>((resolve) => {
      broker.close(resolve);
    });
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
  };
  return { port: (server.address() as { port: number }).port, broker, close };
}

/** Answers `get` from objects in memory, with faults on demand. */
export class ChunkServer {
  /** Every chunk sent, as "object#index". */
  readonly served: string[] = [];
  readonly gets: Get[] = [];
  faults: ChunkFaults = (_object, _index, frame) => [frame];
  /** Answers this instead, when it gives something. */
  refuse: (get: Get) => Omit<Fault, 'v' | 'request'> | undefined = () => undefined;
  isSilent = false;
  readonly #broker: Aedes;
  readonly #objects: Map<string, Buffer>;

  constructor(broker: Aedes, objects: Map<string, Buffer>) {
    this.#broker = broker;
    this.#objects = objects;
    broker.subscribe(
      'up/#',
      (packet, done) => {
        this.#received(packet.topic, packet.payload as Buffer);
        done();
      },
      () => {},
    );
  }

  publish(topic: string, payload: Buffer | string, qos: 0 | 1 = 0): void {
    this.#broker.publish(
      { cmd: 'publish', topic, payload: Buffer.from(payload as string), qos, dup: false, retain: false },
      () => {},
    );
  }

  #received(topic: string, payload: Buffer): void {
    const up = parseUpTopic(topic);
    if (up?.channel !== 'get' || this.isSilent) return;
    const get = checkGet(JSON.parse(payload.toString()));
    if (get.ok) this.#answer(up.tenant, up.device, get.value);
  }

  #answer(tenant: string, device: string, get: Get): void {
    this.gets.push(get);
    const content = this.#objects.get(get.object);
    const refusal =
      this.refuse(get) ??
      (content
        ? undefined
        : { code: 'unknown-object' as const, message: `${get.object} is not here`, retryAfterMs: 0 });
    if (refusal || !content) {
      const fault = { v: 1, request: get.request, ...refusal };
      return this.publish(downTopic(tenant, device, 'fault'), JSON.stringify(fault));
    }
    const { chunkBytes, request, object } = get;
    for (const index of decodeBitmap(get.first, get.bitmap) ?? []) {
      const at = index * chunkBytes;
      const payload = content.subarray(at, at + chunkBytes);
      this.served.push(`${object}#${index}`);
      const frame = encodeChunk({ request, index, chunkBytes, objectBytes: content.length, payload });
      for (const sent of this.faults(object, index, frame)) {
        this.publish(downTopic(tenant, device, 'data'), sent);
      }
    }
  }
}
