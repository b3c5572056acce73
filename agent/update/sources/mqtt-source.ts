import { type ChunkFrame, decodeChunk } from '../../../protocol/chunk-frame.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import { checkFault } from '../../../protocol/messages.ts';
import type { ChunkSource } from '../ports.ts';
import type { BulkChannel } from './bulk-channel.ts';
import { Pull, type PullTimes } from './pull.ts';
import { aborted, SilentError, SourceError } from './source-error.ts';

/** Pulls chunks over the bulk MQTT session. Several pulls may share it; each knows its own requests. */
export class MqttSource implements ChunkSource {
  readonly #channel: BulkChannel;
  readonly #times: PullTimes;
  #request = 0;

  constructor({ channel, times }: { channel: BulkChannel; times?: PullTimes }) {
    this.#channel = channel;
    this.#times = times ?? { answerMs: 3_000, silences: 5 };
  }

  async read(object: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    const tooLarge = (bytes: number) =>
      new SourceError(
        'too-large',
        `Cannot read ${object}: it has ${bytes} bytes; at most ${maxBytes} are taken`,
      );
    let whole: Buffer | undefined;
    const take = async ({ index, objectBytes, payload }: ChunkFrame) => {
      if (objectBytes > maxBytes || (whole && whole.length !== objectBytes)) throw tooLarge(objectBytes);
      whole ??= Buffer.alloc(objectBytes);
      payload.copy(whole, index * LIMITS.chunkBytes);
    };
    await this.#pull(object, [0], take, signal);
    const chunks = Math.ceil((whole?.length ?? 0) / LIMITS.chunkBytes);
    const rest = Array.from({ length: Math.max(0, chunks - 1) }, (_, index) => index + 1);
    await this.#pull(object, rest, take, signal);
    return whole ?? Buffer.alloc(0);
  }

  async fetch(
    object: string,
    chunks: readonly number[],
    onChunk: (index: number, payload: Buffer) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#pull(object, chunks, ({ index, payload }) => onChunk(index, payload), signal);
  }

  async #pull(
    object: string,
    chunks: readonly number[],
    onChunk: (frame: ChunkFrame) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    if (signal.aborted) throw aborted(object);
    if (chunks.length === 0) return;
    let pull: Pull | undefined;
    const listener = {
      onData: (message: Buffer) => {
        const frame = decodeChunk(message);
        if (frame) pull?.onFrame(frame);
      },
      onFault: (message: Buffer) => {
        const fault = checkFault(parseJson(message));
        if (fault.ok) pull?.onFault(fault.value);
      },
      onLost: () => {
        pull?.fail(new SourceError('unreachable', `Cannot fetch ${object}: the bulk session was lost`));
      },
    };
    const lease = await this.#channel.acquire(listener, signal);
    const abort = () => pull?.fail(aborted(object));
    signal.addEventListener('abort', abort);
    try {
      const send = lease.send.bind(lease);
      const nextRequest = () => (this.#request = (this.#request + 1) >>> 0);
      const chunkBytes = LIMITS.chunkBytes;
      pull = new Pull({ ...this.#times, object, chunks, chunkBytes, send, nextRequest, onChunk });
      if (signal.aborted) abort();
      await pull.done;
    } catch (error) {
      if (error instanceof SilentError) lease.drop();
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
      lease.release();
    }
  }
}

function parseJson(message: Buffer): unknown {
  try {
    return JSON.parse(message.toString('utf8'));
  } catch {
    return undefined;
  }
}
